"""Other spellings of options: short forms that are accepted, names from other tools that are explained, lists."""

from collections.abc import Sequence

SHORT_FORMS = {"--lr": "--learning_rate"}
"""Accepted."""
ELSEWHERE = {
    "--arch": "--model",
    "--batch": "--batch-size",
    "--bs": "--batch-size",
    "--checkpoint": "--resume",
    "--cpu": "--device cpu",
    "--cuda": "--device cuda",
    "--dataset": "--data",
    "--gpu": "--device cuda",
    "--gpus": "--device cuda",
    "--k": "--method.k",
    "--jobs": "--processes",
    "--network": "--model",
    "--num_epochs": "--epochs",
    "--num_workers": "--processes",
    "--opt": "--optimizer",
    "--output": "--out",
    "--output_dir": "--out",
    "--wd": "--weight-decay",
    "--workers": "--processes",
}
"""What other tools call an option, and its name here: they are not accepted, but the error says the right one."""
_ONE_VALUE = ("--seeds", "--milestones")
"""Lists that are one value for the parser, ``[1,2,3]``."""
_SEVERAL_VALUES = ("--methods", "--method.peers")
"""Lists of several values for the parser."""


def spelled_out(argv: Sequence[str]) -> list[str]:
    """The arguments with short forms written out, and every list as the parser takes it.

    A list may be given as ``a b``, ``a,b`` or ``[a,b]``.

    Example:
        >>> spelled_out(["--seeds", "1", "2", "--methods", "plain,osakd", "{name: kd, teacher: lenet}", "--lr=0.1"])
        ['--seeds', '[1,2]', '--methods', 'plain', 'osakd', '{name: kd, teacher: lenet}', '--learning_rate=0.1']
    """
    result: list[str] = []
    position = 0
    while position < len(argv):
        name, equals, value = argv[position].partition("=")
        name, position = SHORT_FORMS.get(name, name), position + 1
        if name not in (*_ONE_VALUE, *_SEVERAL_VALUES):
            result.append(name + equals + value)
            continue
        values = [value] if equals else []
        while not equals and position < len(argv) and not argv[position].startswith("--"):
            values.append(argv[position])
            position += 1
        parts = [part for value in values for part in _split(value)]
        if name in _ONE_VALUE:
            parts = [f"[{','.join(parts)}]"] if len(parts) > 1 else parts
        result += [name, *parts]
    return result


def _split(value: str) -> list[str]:
    """The parts of ``a,b``; a value with brackets or braces is one."""
    if any(sign in value for sign in "[{"):
        return [value]
    return [part.strip() for part in value.split(",") if part.strip()]
