"""Values of options by their type hints: how one is read from text or YAML, and what the type is called."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from osakd.errors import one_line
from osakd.read_json import checked_depth

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_PLURALS = {int: "whole numbers", float: "numbers", str: "names"}
_LISTS = (list, tuple, Sequence)


def convert(kind: Any, value: Any) -> Any:
    """What YAML gives, or text in place of anything, in the type of its option.

    The type hint is int, float, bool, str, a list or tuple of these, a mapping, ``Literal``, None, or a union.

    Raises:
        ValueError: the value is not of that type.
    """
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        for alternative in sorted(get_args(kind), key=lambda each: each is str):  # text last, which anything may be
            with suppress(ValueError):
                return convert(alternative, value)
    elif origin is Literal:
        if value in get_args(kind):
            return value
    elif origin is NoneType:
        if value is None or value == "null":
            return None
    elif origin in _LISTS:
        return _convert_list(kind, split(value) if isinstance(value, str) else value)
    elif origin in (Mapping, dict):
        loaded = _loaded(value) if isinstance(value, str) and value.startswith("{") else value
        if isinstance(loaded, dict):
            return loaded
    elif origin is bool:
        if isinstance(value, bool) or str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
    elif origin is int:
        if isinstance(value, int | str) and re.fullmatch(r"[+-]?\d+", str(value)):  # str(True) is not a number
            return int(value)
    elif origin is float:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    elif origin is str and isinstance(value, str):
        return value
    raise ValueError(f"{value!r} is not {expected(kind)}")


def split(text: str) -> list[Any]:
    """The elements of a list as the terminal gives it.

    Example:
        >>> split("a, b"), split("[1, 2]"), split("{name: kd}")
        (['a', 'b'], [1, 2], [{'name': 'kd'}])
    """
    if text.startswith(("[", "{")):
        loaded = _loaded(text)
        return loaded if isinstance(loaded, list) else [loaded]
    return [part.strip() for part in text.split(",") if part.strip()]


def expected(kind: Any) -> str:
    """What a type is called in a sentence.

    Example:
        >>> expected(int | Sequence[int]), expected(tuple[Literal["erasing", "randaugment"], ...])
        ('a whole number or a list of whole numbers', "a list of values among 'erasing', 'randaugment'")
    """
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(expected(each) for each in arguments if each is not NoneType)
    if origin is Literal:
        return f"{'one of ' if len(arguments) > 1 else ''}{', '.join(map(repr, arguments))}"
    if origin in _LISTS:
        count = f"{len(arguments)} " if origin is tuple and ... not in arguments else ""
        if get_origin(arguments[0]) is Literal:
            return f"a list of values among {', '.join(map(repr, get_args(arguments[0])))}"
        return f"a list of {count}{_PLURALS.get(arguments[0], 'names or mappings')}"
    return _WORDS.get(origin, "a mapping such as {name: value}")


def choices(kind: Any) -> list[str]:
    """The values of a ``Literal``, also inside of a union."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [choice for each in get_args(kind) for choice in choices(each)]


def takes_several(kind: Any) -> bool:
    """Whether a list is allowed, so that the terminal may give several values."""
    return get_origin(kind) in _LISTS or any(get_origin(each) in _LISTS for each in get_args(kind))


def placeholder(kind: Any, name: str) -> str:
    """What stands for a value in ``--help``.

    Example:
        >>> placeholder(int | None, "epochs"), placeholder(int | Sequence[int], "seeds"), placeholder(str | Path, "out")
        ('N', 'N ...', 'PATH')
        >>> placeholder(Literal["sgd", "adamw"], "optimizer"), placeholder(str, "label_column")
        ('sgd|adamw', 'COLUMN')
    """
    if get_origin(kind) in (Union, UnionType):
        kinds = [each for each in get_args(kind) if each is not NoneType]
        if Path in kinds:
            return "PATH"
        kind = next((each for each in kinds if takes_several(each)), str if str in kinds else kinds[0])
    if takes_several(kind):
        return f"{placeholder(get_args(kind)[0], name)} ..."
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return {int: "N", float: "X"}.get(kind, re.split(r"[._]", name)[-1].upper())


def _convert_list(kind: Any, value: Any) -> list[Any]:
    arguments = get_args(kind)
    elements = value if isinstance(value, list | tuple) else [value]
    if get_origin(kind) is tuple and ... not in arguments and len(elements) != len(arguments):
        raise ValueError(f"{value!r} is not {expected(kind)}")
    return [convert(arguments[0], element) for element in elements]


def _loaded(text: str) -> Any:
    """What YAML reads; text that is not YAML stays text."""
    try:
        return load_yaml(text)
    except ValueError:
        return text


class _Loader(yaml.SafeLoader):
    """Makes no objects, and no value twice: a few lines of aliases of aliases would stand for billions of values."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read: write the value out")
        return super().compose_node(parent, index)


def load_yaml(text: str) -> Any:
    """The value in a YAML text.

    Raises:
        ValueError: it is not YAML, has aliases, or is nested too deeply.
    """
    try:
        return checked_depth(yaml.load(text, _Loader))  # noqa: S506 - a SafeLoader
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except yaml.YAMLError as error:
        raise ValueError(one_line(error)) from error
