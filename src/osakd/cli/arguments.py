"""Reads the values of options from the command line and from YAML files, with the same names in both.

Some other spellings are accepted; names that other tools use are not, but the error says the right one.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from osakd.cli.options import CONFIG, Option, settings_options
from osakd.cli.values import choices, convert, expected, load_yaml, split, takes_several
from osakd.errors import InputError, one_line
from osakd.methods.lookup import given_method
from osakd.paths import given_path

SHORT_FORMS = {"lr": "learning_rate", "method.name": "method"}
"""Accepted."""
ELSEWHERE = {
    name: here
    for here, names in {
        "--augment": "auto_augment aa color_jitter random_erase random_erasing reprob",
        "--batch-size": "b batch bs",
        "--crop": "random_crop",
        "--data": "d dataset data_path root",
        "--device cpu": "cpu",
        "--device cuda": "cuda gpu gpus",
        "--ema": "ema_decay model_ema",
        "--epochs": "e num_epochs max_epochs",
        "--flip": "hflip horizontal_flip",
        "--max-grad-norm": "clip_grad grad_clip gradient_clip_val",
        "--method label-smoothing": "label_smoothing smoothing",
        "--method.k": "k neighbors",
        "--method.teacher": "teacher",
        "--method.temperature": "temperature",
        "--mixup": "mixup_alpha",
        "--cutmix": "cutmix_alpha",
        "--model": "arch m network",
        "--optimizer": "opt",
        "--out": "o name output output_dir project save_dir",
        "--patience": "early_stop early_stopping",
        "--precision bf16": "amp bf16 fp16 half mixed_precision",
        "--processes": "j jobs num_workers workers",
        "--resize": "image_size img_size imgsz input_size",
        "--resume": "checkpoint",
        "--validation": "val_fraction val_size val_split valid_split validation_split",
        "--warmup-epochs": "warmup",
        "--weight-decay": "wd",
    }.items()
    for name in names.split()
}
"""What other tools call an option, and its name here."""
_MOST_BYTES = 2**20


class Arguments:
    """The arguments of a command. Its settings become options when the method is known, hence the two steps.

    Of options with the same name the last counts; ``method`` is empty for a command that takes none.

    Raises:
        InputError: a configuration file that cannot be used, or an unknown method.
    """

    def __init__(self, options: Iterable[Option], argv: Sequence[str]) -> None:
        self.options = {option.name: option for option in (*options, CONFIG)}
        self.method = ""
        self._argv = argv
        self._in_files: dict[str, Any] = {}
        for path in _values_of(CONFIG.name, argv):
            self._in_files = _merged(self._in_files, read_options(given_path(path)))
        if "method" in self.options:
            for name in _values_of("method", argv):
                self._in_files = _merged(self._in_files, {"method": name})
            self.method = self._in_files.get("method", self.options["method"].default)
            if self.method.startswith("{"):
                raise InputError(
                    f"Option --method must be a name, got {self.method!r}: its settings are --method.NAME."
                )
            self.options |= {option.name: option for option in settings_options(self.method)}

    def values(self) -> dict[str, Any]:
        """The values of options by name, each in its option's type; the command line goes before the files.

        Raises:
            InputError: an unknown option, a value that is not of its type, or none where one is needed.
        """
        in_files = {name: _converted(self._option(name, repr(name)), value) for name, value in self._in_files.items()}
        values = in_files | self._on_terminal()
        values.pop(CONFIG.name, None)
        for option in self.options.values():
            if option.required and option.name not in values:
                raise InputError(f"{option.flag} is missing: {option.help} (see --help).")
        settings = {name: values.pop(name) for name in list(values) if name.startswith("method.")}
        if settings:
            values["method"] = {name.removeprefix("method."): value for name, value in settings.items()}
            values["method"] = {"name": self.method} | values["method"]
        return values

    def _on_terminal(self) -> dict[str, Any]:
        """The values on the command line."""
        on_terminal: dict[str, Any] = {}
        nameless: list[str] = []
        words = list(self._argv)
        while words:
            word = words.pop(0)
            if re.match("-[a-zA-Z]", word):
                raise unknown_option(word, python_name(word[1:]), [option.flag for option in self.options.values()])
            if not word.startswith("--"):
                nameless.append(word)
                continue
            flag, equals, text = word.partition("=")
            name = python_name(flag)
            turned_off = self.options.get(name.removeprefix("no_"))
            if name.startswith("no_") and turned_off is not None and turned_off.kind is bool and not equals:
                on_terminal[turned_off.name] = False
                continue
            option = self._option(name, flag)
            values = [text] if equals else _taken(option, words)
            if not values and option.kind is not bool:
                raise InputError(f"Option {option.flag} needs a value: {expected(option.kind)}.")
            value = (_joined(values) if takes_several(option.kind) else values[0]) if values else True
            on_terminal[option.name] = _converted(option, value)
        for option in self.options.values():
            if option.positional and nameless:
                several = takes_several(option.kind)
                on_terminal[option.name] = _converted(option, nameless if several else nameless[0])
                nameless = [] if several else nameless[1:]
        if nameless:
            before = ["the command", *self._argv][self._argv.index(nameless[0])]
            raise InputError(f"Unexpected argument {nameless[0]!r} after {before}: options begin with -- (see --help).")
        return on_terminal

    def _option(self, name: str, as_written: str) -> Option:
        """The option of that name.

        Raises:
            InputError: there is none.
        """
        if name in self.options:
            return self.options[name]
        if name.startswith("methods."):
            raise InputError(
                f"Option {as_written}: settings go with each method, as in --methods '{{name: osakd, k: 4}}'."
            )
        if name.startswith("method.") and self.method:
            given_method({"name": self.method, name.removeprefix("method."): None})
        raise unknown_option(as_written, name, [option.flag for option in self.options.values()])


def read_options(path: Path) -> dict[str, Any]:
    """The options in a YAML file by their names in Python; settings of the method are ``method.k`` and so on.

    Raises:
        InputError: there is no such file, it is not YAML, or it does not hold options.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError("it has more than 1 MiB")
        loaded = load_yaml(content.decode())
    except FileNotFoundError:
        raise InputError(f"The configuration file {str(path)!r} does not exist: check the path.") from None
    except (ValueError, OSError) as error:
        raise InputError(
            f"The configuration file {str(path)!r} cannot be read ({one_line(error)}): correct it."
        ) from error
    if not isinstance(loaded, dict | None) or not isinstance((loaded or {}).get("method", ""), str | dict):
        raise InputError(f"The configuration file {str(path)!r} must hold lines such as `epochs: 5`, `method: osakd`.")
    options = {python_name(str(key)): value for key, value in (loaded or {}).items()}
    if isinstance(options.get("method"), dict):
        settings = options.pop("method")
        options |= {python_name(f"method.{key}"): value for key, value in settings.items()}
    return options


def python_name(text: str) -> str:
    """The name of an option in Python, from the terminal or a YAML file.

    Example:
        >>> python_name("--batch-size"), python_name("lr")
        ('batch_size', 'learning_rate')
    """
    name = text.removeprefix("--").replace("-", "_")
    return SHORT_FORMS.get(name, name)


def unknown_option(as_written: str, name: str, flags: Collection[str]) -> InputError:
    """The error for an option that a command does not have; ``name`` is its name in Python's spelling."""
    meant = ELSEWHERE.get(name, "")
    of_a_method = meant.startswith("--method.") and "--method" in flags
    if not of_a_method and meant.partition(" ")[0] not in flags:
        near = difflib.get_close_matches(f"--{name.replace('_', '-')}", flags, n=1, cutoff=0.75)
        meant = near[0] if near else ""
    guess = f"; did you mean {meant} (see --help)?" if meant else " (see --help)."
    return InputError(f"Unknown option {as_written}{guess}")


def _merged(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Both, the later ones first; another method does not have the settings of the earlier one."""
    if later.get("method", earlier.get("method")) != earlier.get("method"):
        earlier = {name: value for name, value in earlier.items() if not name.startswith("method.")}
    return earlier | later


def _values_of(name: str, argv: Sequence[str]) -> list[str]:
    """The values that the command line gives to an option of one value."""
    values = []
    for word, following in zip(argv, [*argv[1:], ""], strict=False):
        flag, equals, value = word.partition("=")
        if word.startswith("--") and python_name(flag) == name:
            values.append(value if equals else following)
    return values


def _taken(option: Option, words: list[str]) -> list[str]:
    """Takes the values of an option from the words that follow it."""
    taken: list[str] = []
    while words and not words[0].startswith("--") and (not taken or takes_several(option.kind)):
        if option.kind is bool and words[0].lower() not in ("true", "false"):
            break
        taken.append(words.pop(0))
    return taken


def _joined(values: list[str]) -> Any:
    """The values of a list, which may be ``a b``, ``a,b`` or ``[a, b]``; text where there is only one."""
    if values[0].startswith("["):
        values = [" ".join(values)]
    return values[0] if len(values) == 1 else [part for value in values for part in split(value)]


def _converted(option: Option, value: Any) -> Any:
    """The value in the type of its option.

    Raises:
        InputError: it is not of that type.
    """
    try:
        return convert(option.kind, value)
    except ValueError:
        near = difflib.get_close_matches(str(value), choices(option.kind), n=1)
        guess = f"; did you mean {near[0]!r}?" if near else "."
        raise InputError(f"Option {option.flag} must be {expected(option.kind)}, got {value!r}{guess}") from None
