"""How the options of a command are read: from the command line and from a YAML file, the same names in both."""

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_loader

from osakd.engine.config import Options
from osakd.errors import InputError
from osakd.methods.lookup import METHODS, resolve_method

_KINDS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "list": "a list"}


def new_parser(command: str, description: str) -> ArgumentParser:
    """A parser that raises instead of exiting, with ``--config``."""
    set_loader("osakd", _load_yaml)
    parser = ArgumentParser(
        prog=f"osakd {command}", description=description, exit_on_error=False, parser_mode="osakd", version=None
    )
    parser.add_argument("--config", action="config", help="YAML file with any of these options")
    return parser


def add_training_options(parser: ArgumentParser) -> None:
    """The options of how to train, ``osakd.engine.config.Options``."""
    parser.add_class_arguments(Options, as_group=True)


def add_method_options(parser: ArgumentParser, method: str) -> None:
    """``--method`` and that method's own settings, ``--method.k`` and so on."""
    name, settings = resolve_method(method)
    parser.add_argument(
        "--method.name", default=name, metavar="NAME", help="--method NAME for short; each has settings of its own"
    )
    parser.add_class_arguments(METHODS[name], "method", as_group=False)
    given = {key: value for key, value in settings.items() if method != name and key == "k"}
    parser.set_defaults({f"method.{key}": value for key, value in given.items()})


def chosen_method(argv: Sequence[str], default: str) -> str:
    """The method that the command line or its configuration file names."""
    name = _value_of(argv, "--method") or _value_of(argv, "--method.name")
    path = _value_of(argv, "--config")
    if name is None and path is not None and Path(path).is_file():
        name = _read_yaml(Path(path)).get("method", {}).get("name")
    return name or default


def parse(parser: ArgumentParser, argv: Sequence[str]) -> Namespace | None:
    """The options; None after ``--help``.

    Raises:
        InputError: an unknown option or a value that is not of its type.
    """
    path = _value_of(argv, "--config")
    if path is not None and Path(path).is_file():
        _read_yaml(Path(path))
    try:
        return parser.parse_args([_as_declared(argument) for argument in argv])
    except ArgumentError as error:
        setting = re.search(r"unrecognized arguments: --method\.(\w+)", str(error), re.IGNORECASE)
        if setting:
            resolve_method({"name": chosen_method(argv, "plain"), setting[1]: None})  # says which settings there are
        raise InputError(_one_sentence(str(error))) from error
    except SystemExit:
        return None


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


def _value_of(argv: Sequence[str], option: str) -> str | None:
    for number, argument in enumerate(argv):
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
        if argument == option and number + 1 < len(argv):
            return argv[number + 1]
    return None


def _read_yaml(path: Path) -> dict[str, Any]:
    """The options in a file.

    Raises:
        InputError: not YAML, not options, or an unknown method or setting.
    """
    try:
        loaded = _load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        words = " ".join(str(error).split())
        raise InputError(f"The configuration file {str(path)!r} cannot be read ({words}): correct it.") from error
    method = loaded.get("method", {}) if isinstance(loaded, dict) else None
    if not isinstance(loaded, dict) or not isinstance(method, dict):
        raise InputError(f"The configuration file {str(path)!r} must hold lines such as `epochs: 5`, `method: osakd`.")
    if "name" in method:
        resolve_method(method)
    return loaded


def _load_yaml(text: str) -> Any:
    loaded = yaml.safe_load(text)
    if isinstance(loaded, dict) and isinstance(loaded.get("method"), str):
        loaded["method"] = {"name": loaded["method"]}
    return loaded


def _one_sentence(message: str) -> str:
    """The parser's message in our words: the option, what it may be, what was given."""
    words = " ".join(message.split())
    key = re.match(r'Parser key "([^"]+)"(?: element \d+)?: (.*)', words)
    if key is None:
        return f"{words[0].upper()}{words[1:].rstrip('.')} (see --help)."
    given = re.search(r"(?:Given|Got) value: (.*)$", key[2])
    if given is None:
        return f"Option --{key[1]}: {key[2].rstrip('.')}."
    choices = re.search(r"Literal\[([^]]*)\]", key[2])
    expected = key[2].partition("Given value type")[0]
    classes = [name for name in re.findall(r"<class '(\w+)'>", expected) if name in _KINDS]
    kinds = [f"one of {choices[1]}"] if choices else [_KINDS[name] for name in dict.fromkeys(classes)]
    allowed = " or ".join(kinds) or "a list such as [0.5,0.75]"
    return f"Option --{key[1]} must be {allowed}, got {given[1].rstrip('.')!r}."
