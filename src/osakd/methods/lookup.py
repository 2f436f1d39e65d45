"""A method from what the user says of it: its name and complete settings, and a short label."""

import math
import re
from collections.abc import Mapping
from dataclasses import Field, asdict, fields
from numbers import Integral, Real
from os import PathLike
from typing import Any, Literal, get_args, get_origin

from osakd.errors import InputError, unknown_name
from osakd.methods.settings import METHODS

_OSAKD = re.compile(r"osakd-(\d+)nn")
SHORTHANDS: dict[str, dict[str, Any]] = {
    "kd-additive": {"name": "kd", "hard_weight": 1.0, "soft_weight": 1.0, "temperature": 3.0},
    "ffl-unshared": {"name": "ffl", "shared": False},
}
PRESETS: dict[str, dict[str, Any]] = {
    "osakd-paper": {
        "name": "osakd",
        "k": 8,
        "space": "softmax",
        "divergence": "kl",
        "balance": "additive",
        "include_self": False,
        "pool": "batch",
    },
}
"""Choices that were made in docs/reproduction.md, by name. ``osakd-paper`` is the reading of what the paper leaves open
that comes nearest to its numbers; it stays as it is when the defaults of ``osakd`` change."""


def resolve_method(
    method: str | Mapping[str, Any], *, soft_weight: float = 0.9, model: str = ""
) -> tuple[str, dict[str, Any]]:
    """The name and the complete settings of a method.

    Args:
        method: a name (``"osakd"``), a shorthand (``"osakd-16nn"``), a preset (``"osakd-paper"``), or
            a mapping with ``name`` and settings.
        soft_weight: what a method takes whose settings leave the weight open.
        model: name of the network that is trained, for settings that name another one.

    Returns:
        The name and every setting by name.

    Raises:
        InputError: an unknown name or setting, or a value that is not of its kind or out of its range.

    Example:
        >>> resolve_method("osakd-16nn")[1]["k"]
        16
        >>> resolve_method("kd", model="resnet32")[1]["teacher"]
        'resnet110'
    """
    name, settings = given_method(method)
    if settings.get("soft_weight", 0) is None:
        settings["soft_weight"] = soft_weight
    if settings.get("teacher", "") is None:
        if model.startswith("resnet50"):
            raise InputError(f"There is no larger network here to teach {model!r}: name a `teacher`.")
        settings["teacher"] = "resnet110" if re.fullmatch(r"resnet\d+(-conv)?", model) else "resnet20"
    if settings.get("peers") == []:
        settings["peers"] = [model]
    if name == "ffl" and not settings["shared"] and settings["peer"] is None:
        settings["peer"] = model
    return name, settings


def given_method(method: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and every setting of a method; what is left open stays open.

    Raises:
        InputError: as ``resolve_method``.
    """
    given: dict[str, Any] = {"name": method} if isinstance(method, str) else dict(method)
    name = str(given.get("name", ""))
    osakd = _OSAKD.fullmatch(name)
    short = {"name": "osakd", "k": int(osakd[1])} if osakd else SHORTHANDS.get(name) or PRESETS.get(name, {})
    given = {**short, **given, "name": short.get("name", name)}
    name = str(given.pop("name"))
    if name not in METHODS:
        more = f"; osakd-16nn is osakd with 16 neighbours, and there are {', '.join([*SHORTHANDS, *PRESETS])}"
        raise unknown_name("method", name, METHODS, more)
    known = {field.name: field for field in fields(METHODS[name])}
    names = list(known)
    for setting in given:
        if setting not in names:
            if not names:
                raise InputError(f"Method {name!r} has no settings, got {setting!r}: leave it out.")
            raise unknown_name(f"setting of method {name!r}", setting, names)
    return name, asdict(METHODS[name](**{key: _checked(known[key], value) for key, value in given.items()}))


def _checked(field: "Field[Any]", value: Any) -> Any:
    """The value in its plain type (NumPy's numbers become Python's)."""
    if get_origin(field.type) is Literal:
        if value not in get_args(field.type):
            raise unknown_name(field.name, str(value), get_args(field.type))
        return value
    if value is None and type(None) in get_args(field.type):
        return None
    kind = next((one for one in get_args(field.type) if one is not type(None)), field.type)
    if get_origin(field.type) is list:
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return list(value)
        raise InputError(f"`{field.name}` must be a list of names, got {value!r}.")
    if kind is str and isinstance(value, PathLike):
        return str(value)
    if isinstance(value, bool | str):
        if type(value) is kind:
            return value
    elif kind is int and isinstance(value, Integral):
        return int(value)
    elif kind is float and isinstance(value, Real) and math.isfinite(value):
        return float(value)
    words = {bool: "true or false", int: "a whole number", str: "a name"}.get(kind, "a finite number")  # type: ignore[arg-type] - not a type's name
    raise InputError(f"`{field.name}` must be {words}, got {value!r}.")


def method_label(method: str | Mapping[str, Any]) -> str:
    """A short name for a folder or a table: the method and those of its settings that are not the default.

    Example:
        >>> method_label({"name": "osakd", "k": 4, "pool": "memory"}), method_label("osakd-8nn")
        ('osakd-4nn-memory', 'osakd-8nn')
        >>> method_label({"name": "dml", "peers": ["resnet20", "resnet32"]}), method_label("kd-additive")
        ('dml-resnet20-resnet32', 'kd-additive')
    """
    name, settings = given_method(method)
    defaults = asdict(METHODS[name]())
    given = settings
    for short, meant in (SHORTHANDS | PRESETS).items():
        said = {key: value for key, value in meant.items() if key not in ("name", "k")}
        if meant["name"] == name and said.items() <= settings.items() and not said.items() <= defaults.items():
            name, given = short, {key: value for key, value in settings.items() if key not in said}
    changed = {key: value for key, value in given.items() if key != "k" and value != defaults[key]}
    parts = [f"{name}-{settings['k']}nn" if name == "osakd" or settings.get("k", 8) != 8 else name]
    for key, value in changed.items():
        words = value if isinstance(value, list) else [value]
        parts += [one if isinstance(one, str) else f"{key}={one}" for one in words]
    # A teacher's run folder is known by its last name, a network of one's own by its function.
    return "-".join(part.rstrip("/").rpartition("/")[2].replace(":", "-") for part in parts)
