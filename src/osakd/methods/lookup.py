"""A method from what the user gives: its name, its checked settings, and a short label."""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from osakd.errors import InputError, unknown_name
from osakd.methods.registry import METHODS, PRESETS, entry_of
from osakd.methods.settings.base import RunDefaults, Settings

_WITH_NEIGHBOURS = re.compile(r"(.+)-(\d+)nn")


def resolve_method(method: str | Mapping[str, Any], run: RunDefaults = RunDefaults()) -> tuple[str, Settings]:
    """The name and the complete settings of a method.

    Args:
        method: a name (``"osakd"``), with a number of neighbours (``"osakd-16nn"``), a preset (``"osakd-paper"``), or a
            mapping with ``name`` and settings.
        run: what the run offers for settings that are left open.

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
    """The name and the settings of a method, with the errors of ``resolve_method``; settings left open stay open."""
    changes: dict[str, Any] = {"name": method} if isinstance(method, str) else dict(method)
    name, neighbours = str(changes.pop("name", "")), {}
    if match := _WITH_NEIGHBOURS.fullmatch(name):
        name, neighbours = match[1], {"k": int(match[2])}
    values: dict[str, Any] = {"name": name} | PRESETS.get(name, {}) | neighbours | changes
    name = str(values.pop("name"))
    kind = entry_of(name, f"; osakd-16nn is osakd with 16 neighbours, and there are {', '.join(PRESETS)}").settings
    known = [field.name for field in fields(kind)]
    for setting in values:
        if setting not in known:
            if not known:
                raise InputError(f"Method {name!r} has no settings, got {setting!r}: leave it out.")
            raise unknown_name(f"setting of method {name!r}", setting, known)
    return name, kind.parse(values)


def method_label(method: str | Mapping[str, Any]) -> str:
    """A short name for a folder or a table: the method or preset, and what differs from its settings.

    Of the presets and the method itself the one with the fewest differences gives the name; of equals one of whose own
    settings the fewest are changed, then a preset.

    Example:
        >>> method_label("osakd-8nn"), method_label({"name": "osakd", "k": 4, "pool": "memory"})
        ('osakd', 'osakd-4nn-memory')
        >>> method_label("osakd-paper"), method_label({"name": "osakd-paper", "divergence": "mse", "k": 16})
        ('osakd-paper-8nn', 'osakd-paper-16nn-mse')
        >>> method_label({"name": "dml", "peers": ["resnet20", "resnet32"]}), method_label("kd-additive")
        ('dml-resnet20-resnet32', 'kd-additive')
        >>> method_label("uniform-smoothing"), method_label({"name": "osakd-shuffled", "k": 4})
        ('osakd-uniform', 'osakd-shuffled-4nn')
    """
    name, chosen = given_method(method)
    defaults = asdict(METHODS[name].settings())
    settings = {key: value for key, value in asdict(chosen).items() if key not in chosen.in_label}
    bases = {key: defaults | preset for key, preset in PRESETS.items() if preset["name"] == name} | {name: defaults}
    differences = {
        base: {key: value for key, value in settings.items() if value != values[key]} for base, values in bases.items()
    }

    def distance(base: str) -> tuple[int, int]:
        changed = differences[base]
        return len(changed), len(changed.keys() & PRESETS.get(base, {}).keys())

    base = min(differences, key=distance)
    parts = [chosen.label(base)]
    for key, value in differences[base].items():
        words = value if isinstance(value, list) else [value]
        parts += [word if isinstance(word, str) else f"{key}={word}" for word in words]
    # A teacher's run folder is known by its last name, a user's own network by its function.
    return "-".join(part.rstrip("/").rpartition("/")[2].replace(":", "-") for part in parts)
