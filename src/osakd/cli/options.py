"""Reads the options of a command from the command line and from a YAML file, with the same names in both."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_origin

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_loader

from osakd.cli.spelling import ELSEWHERE, spelled_out
from osakd.engine.config import Options
from osakd.errors import InputError, one_line
from osakd.methods.lookup import given_method
from osakd.paths import given_path

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping such as {name: value}",
}


def new_parser(command: str, description: str) -> ArgumentParser:
    """A parser that raises instead of exiting, with ``--config``."""
    set_loader("osakd", _load_value)
    parser = ArgumentParser(
        prog=f"osakd {command}",
        description=description,
        exit_on_error=False,
        parser_mode="osakd",
        version=None,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="YAML file with any of these options")
    return parser


def add_training_options(parser: ArgumentParser) -> None:
    """The options of how to train, ``osakd.engine.config.Options``."""
    parser.add_class_arguments(Options, as_group=True)


def add_reading_options(parser: ArgumentParser) -> None:
    """How images are read, for commands that do not train; see ``Options``."""
    help_texts = {
        "resize": "size in pixels to which all images are resized: 32, or height x width such as 64x48",
        "label_column": "column of Parquet files that holds the class",
        "image_column": "column of Parquet files that holds the image",
    }
    for name, text in help_texts.items():
        kind = int | str | None if name == "resize" else str | None
        parser.add_argument(f"--{name}", type=kind, default=None, help=f"{text}; by default as the run read them")


def add_trust(parser: ArgumentParser) -> None:
    """``--trust``, for commands that build what a run folder names."""
    parser.add_argument(
        "--trust", action="store_true", help="call a function that the run's folder names as its network: its code runs"
    )


def add_cluster_options(parser: ArgumentParser) -> None:
    """``--scheduler`` and ``--submitit``, for commands that make many runs."""
    parser.add_argument(
        "--scheduler",
        type=str | None,
        default=None,
        metavar="ADDRESS",
        help="address of a dask.distributed scheduler, host:port, whose workers make the runs in the same folders",
    )
    parser.add_argument(
        "--submitit",
        type=dict | None,
        nargs="?",
        const={},
        default=None,
        metavar="PARAMETERS",
        help="make the runs as a job array of SLURM; options of sbatch may follow, '{partition: cpu, time: 240}'",
    )


def add_log(parser: ArgumentParser) -> None:
    """``--log``, for commands that train."""
    parser.add_argument(
        "--log",
        type=Literal["tensorboard"] | None,
        default=None,
        help="also write learning curves for this program, into the run folders",
    )


def add_method_options(parser: ArgumentParser, method: str) -> None:
    """``--method`` and that method's own settings, ``--method.k`` and so on."""
    name, settings = given_method(method)  # a shorthand is its method with other defaults
    parser.add_argument(
        "--method.name", default=name, metavar="NAME", help="method; --method NAME for short, with settings of its own"
    )
    for one in fields(settings):
        many: dict[str, Any] = {"nargs": "+", "type": str} if get_origin(one.type) is list else {"type": one.type}
        default, text = getattr(settings, one.name), one.metadata["help"]
        parser.add_argument(f"--method.{one.name}", default=default, help=text, **many)


def chosen_method(argv: Sequence[str], default: str) -> str:
    """The method that the command line, or else its last configuration file that does so, names."""
    names = _values_of(argv, "--method") + _values_of(argv, "--method.name")
    names += [name for path in _files(argv) if (name := _read_yaml(path).get("method", {}).get("name"))][::-1]
    return names[0] if names else default


def parse(parser: ArgumentParser, argv: Sequence[str]) -> Namespace | None:
    """The options; None after ``--help``.

    Raises:
        InputError: an unknown option, a value that is not of its type, or a configuration file that cannot be used.
    """
    for path in _files(argv):
        _read_yaml(path)
    dotted = next((argument for argument in argv if argument.startswith("--methods.")), None)
    if dotted is not None:
        raise InputError(f"Option {dotted}: settings go with each method, as in --methods '{{name: osakd, k: 4}}'.")
    try:
        return parser.parse_args(spelled_out([_as_declared(argument) for argument in argv]))
    except (ArgumentError, TypeError) as error:
        unknown = re.search(r"unrecognized arguments: (--[\w.]+)", str(error), re.IGNORECASE)
        if unknown:
            _explain(unknown[1], parser, argv)
        raise InputError(_one_sentence(str(error))) from error
    except SystemExit:
        return None


def _explain(option: str, parser: ArgumentParser, argv: Sequence[str]) -> None:
    """Raises a better error where an unknown option is a setting of a method, or nearly a known option."""
    known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    if option.startswith("--method.") and "--method.name" in known:
        given_method({"name": chosen_method(argv, "plain"), option.removeprefix("--method."): None})
    meant = ELSEWHERE.get(option)
    own = meant is not None and meant.startswith("--method.") and "--method.name" in known  # of another method
    if own or (meant is not None and _as_declared(meant.partition(" ")[0]) in known):
        raise InputError(f"Unknown option {option}; did you mean {meant} (see --help)?")
    near = difflib.get_close_matches(option.replace(".name", ""), known, n=1, cutoff=0.75)
    if near:
        raise InputError(f"Unknown option {option.replace('.name', '')}; did you mean {near[0]} (see --help)?")


def training_options(found: Namespace) -> dict[str, Any]:
    """The part of the options that says how to train."""
    return {field.name: found[field.name] for field in fields(Options)}


def _as_declared(argument: str) -> str:
    """Dashes and underscores are the same in an option's name, and ``--method X`` is ``--method.name X``."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    name = "--" + name[2:].replace("-", "_")
    return ("--method.name" if name == "--method" else name) + equals + value


def _values_of(argv: Sequence[str], option: str) -> list[str]:
    """What an option is given, the last first."""
    values = [argument.partition("=")[2] for argument in argv if argument.startswith(f"{option}=")]
    values += [value for name, value in pairwise(argv) if name == option]
    return values[::-1]


def _files(argv: Sequence[str]) -> list[Path]:
    """The configuration files that are there; the parser itself names one that is not."""
    return [path for value in _values_of(argv, "--config")[::-1] if (path := given_path(value)).is_file()]


def _read_yaml(path: Path) -> dict[str, Any]:
    """The options in a file.

    Raises:
        InputError: not YAML, not options, or an unknown method or setting.
    """
    try:
        loaded = _load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        words = one_line(error)
        raise InputError(f"The configuration file {str(path)!r} cannot be read ({words}): correct it.") from error
    method = loaded.get("method", {}) if isinstance(loaded, dict) else None
    if not isinstance(loaded, dict) or not isinstance(method, dict):
        raise InputError(f"The configuration file {str(path)!r} must hold lines such as `epochs: 5`, `method: osakd`.")
    if "name" in method:
        given_method(method)
    return loaded


def _load_value(text: str) -> Any:
    """How the parser reads a value; what is no YAML is text."""
    try:
        return _load_yaml(text)
    except yaml.YAMLError:
        return text


def _load_yaml(text: str) -> Any:
    """YAML, with short forms written out and the names of options as the parser declares them."""
    loaded = yaml.safe_load(text)
    if not isinstance(loaded, dict):
        # A file without options is as good as none.
        return {} if loaded is None and "\n" in text else loaded
    loaded = {str(key).replace("-", "_"): value for key, value in loaded.items()}
    if isinstance(loaded.get("method"), str):
        loaded["method"] = {"name": loaded["method"]}
    if isinstance(loaded.get("methods"), str):
        loaded["methods"] = [loaded["methods"]]
    return loaded


def _one_sentence(message: str) -> str:
    """The parser's message in our words: the option, what it may be, what was given."""
    words = one_line(message)
    key = re.match(r'Parser key "([^"]+)"(?: element \d+)?: (.*)', words)
    if key is None:
        return f"{words[0].upper()}{words[1:].rstrip('.')} (see --help)."
    given = re.search(r"(?:Given|Got) value: ?(.*?)(?: - Expected.*| Given value type.*)?$", key[2])
    if given is None:
        return f"Option --{key[1]}: {key[2].rstrip('.')}."
    choices = re.search(r"Literal\[([^]]*)\]", key[2])
    expected = key[2].partition("Given value type")[0]
    classes = [name for name in re.findall(r"<class '(\w+)'>", expected) if name in _KINDS]
    kinds = [f"one of {choices[1]}"] if choices else [_KINDS[name] for name in dict.fromkeys(classes)]
    allowed = " or ".join(kinds) or "a list such as [0.5,0.75]"
    got = given[1].rstrip(".")
    near = difflib.get_close_matches(got, re.findall(r"[\w-]+", choices[1]), n=1) if choices else []
    guess = f"; did you mean {near[0]!r}?" if near else "."
    return f"Option --{key[1]} must be {allowed}, got {got!r}{guess}"
