"""Checks of the numbers, names and switches that a caller gives.

Each returns the value in Python's own type, so that NumPy's numbers can be recorded; what does not fit is an
``InputError`` that names the option, the rule and the value.
"""

from collections.abc import Iterable
from math import isfinite, nan
from numbers import Integral, Real
from typing import Any

from osakd.errors import InputError, unknown_name


def whole(name: str, value: Any, *, least: int | None = None) -> int:
    """A whole number, of at least ``least``.

    Example:
        >>> whole("k", 8, least=1)
        8
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputError(f"`{name}` must be a whole number, got {value!r}.")
    if least is not None and value < least:
        raise InputError(f"`{name}` must be at least {least}, got {value}.")
    return int(value)


def number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """A finite number within bounds; ``least`` and ``most`` are allowed themselves, ``above`` and ``below`` are not.

    Example:
        >>> number("momentum", 0.9, least=0, below=1)
        0.9
    """
    try:
        converted = float(value) if isinstance(value, Real) and not isinstance(value, bool) else nan
    except OverflowError:  # a whole number beyond all floats
        converted = nan
    if not isfinite(converted):
        raise InputError(f"`{name}` must be a finite number, got {value!r:.100}.")
    bounds = {"at least": least, "above": above, "at most": most, "below": below}
    fits = (
        (least is None or converted >= least)
        and (above is None or converted > above)
        and (most is None or converted <= most)
        and (below is None or converted < below)
    )
    if not fits:
        rule = " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None)
        raise InputError(f"`{name}` must be {rule}, got {converted}.")
    return converted


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise InputError(f"`{name}` must be true or false, got {value!r}.")
    return value


def choice(name: str, value: Any, known: Iterable[str]) -> Any:
    """One of some names.

    Example:
        >>> choice("space", "softmax", ["softmax", "logits"])
        'softmax'
    """
    names = list(known)
    if value not in names:
        raise unknown_name(name, str(value), names)
    return value
