"""A method from what the user gives: its name, its checked settings, and a short label."""

import math
import re
from collections.abc import Mapping
from dataclasses import Field, asdict, fields
from numbers import Integral, Real
from os import PathLike
from typing import Any, Literal, get_args, get_origin

from osakd.errors import InputError, unknown_name
from osakd.methods.registry import METHODS, PRESETS, SHORTHANDS, as_given
from osakd.methods.settings.base import RunDefaults, Settings

_OSAKD = re.compile(r"osakd-(\d+)nn")


def resolve_method(method: str | Mapping[str, Any], run: RunDefaults = RunDefaults()) -> tuple[str, Settings]:
    """The name and the complete settings of a method.

    Args:
        method: a name (``"osakd"``), a shorthand (``"osakd-16nn"``), a preset (``"osakd-paper"``), or a mapping with
            ``name`` and settings.
        run: what the run offers for settings that are left open.

    Returns:
        The name and the settings.

    Raises:
        InputError: an unknown name or setting, or a value of another type or out of its range.

    Example:
        >>> resolve_method("osakd-16nn")[1].k
        16
        >>> resolve_method("kd", RunDefaults(model="resnet32"))[1].teacher
        'resnet110'
    """
    name, settings = given_method(method)
    return name, settings.resolve(run)


def given_method(method: str | Mapping[str, Any]) -> tuple[str, Any]:
    """The name and the settings of a method; settings that are left open stay open.

    Raises:
        InputError: as ``resolve_method``.
    """
    given: dict[str, Any] = {"name": method} if isinstance(method, str) else dict(method)
    name = str(given.get("name", ""))
    osakd = _OSAKD.fullmatch(name)
    short = {"name": "osakd", "k": int(osakd[1])} if osakd else as_given(name)
    given = {**short, **given, "name": short.get("name", name)}
    name = str(given.pop("name"))
    if name not in METHODS:
        more = f"; osakd-16nn is osakd with 16 neighbours, and there are {', '.join([*SHORTHANDS, *PRESETS])}"
        raise unknown_name("method", name, METHODS, more)
    kind = METHODS[name].settings
    known = {field.name: field for field in fields(kind)}
    for setting in given:
        if setting not in known:
            if not known:
                raise InputError(f"Method {name!r} has no settings, got {setting!r}: leave it out.")
            raise unknown_name(f"setting of method {name!r}", setting, list(known))
    return name, kind(**{key: _checked(known[key], value) for key, value in given.items()})


def _checked(field: "Field[Any]", value: Any) -> Any:
    """The value in the plain type of its field (NumPy's numbers become Python's)."""
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
    name, given = given_method(method)
    settings, defaults, own_name = asdict(given), asdict(METHODS[name].settings()), name
    left = {key: value for key, value in settings.items() if key not in given.in_label}
    for short, meant in (SHORTHANDS | PRESETS).items():
        said = {key: value for key, value in meant.items() if key not in ("name", *given.in_label)}
        if meant["name"] == name and said.items() <= settings.items() and not said.items() <= defaults.items():
            own_name = short
            left = {key: value for key, value in left.items() if key not in said}
    parts = [given.label(own_name)]
    for key, value in left.items():
        if value != defaults[key]:
            words = value if isinstance(value, list) else [value]
            parts += [one if isinstance(one, str) else f"{key}={one}" for one in words]
    # A teacher's run folder is known by its last name, a network of one's own by its function.
    return "-".join(part.rstrip("/").rpartition("/")[2].replace(":", "-") for part in parts)
