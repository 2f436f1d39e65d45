"""Other spellings of options: what is accepted, and what is explained."""

import difflib
from collections.abc import Collection

from osakd.errors import InputError

SHORT_FORMS = {"lr": "learning_rate", "method.name": "method"}
"""Accepted."""
ELSEWHERE = {
    "arch": "--model",
    "batch": "--batch-size",
    "bs": "--batch-size",
    "checkpoint": "--resume",
    "cpu": "--device cpu",
    "cuda": "--device cuda",
    "dataset": "--data",
    "gpu": "--device cuda",
    "gpus": "--device cuda",
    "k": "--method.k",
    "jobs": "--processes",
    "network": "--model",
    "num_epochs": "--epochs",
    "num_workers": "--processes",
    "opt": "--optimizer",
    "output": "--out",
    "output_dir": "--out",
    "wd": "--weight-decay",
    "workers": "--processes",
}
"""What other tools call an option, and its name here: they are not accepted, but the error says the right one."""


def python_name(text: str) -> str:
    """The name of an option in Python, from the terminal or a YAML file.

    Example:
        >>> python_name("--batch-size"), python_name("lr")
        ('batch_size', 'learning_rate')
    """
    name = text.removeprefix("--").replace("-", "_")
    return SHORT_FORMS.get(name, name)


def unknown_option(as_written: str, name: str, flags: Collection[str]) -> InputError:
    """The error for an option that a command does not have.

    Args:
        as_written: the option as the user wrote it.
        name: its name in Python's spelling.
        flags: the options that the command has, ``--batch-size``.
    """
    meant = ELSEWHERE.get(name, "")
    of_a_method = meant.startswith("--method.") and "--method" in flags
    if not of_a_method and meant.partition(" ")[0] not in flags:
        near = difflib.get_close_matches(f"--{name.replace('_', '-')}", flags, n=1, cutoff=0.75)
        meant = near[0] if near else ""
    guess = f"; did you mean {meant} (see --help)?" if meant else " (see --help)."
    return InputError(f"Unknown option {as_written}{guess}")
