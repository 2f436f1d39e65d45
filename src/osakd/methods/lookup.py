"""The methods by name: their settings, and how each is built. Torch is imported only to build one."""

import math
import re
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from osakd.errors import InputError, unknown_name

if TYPE_CHECKING:
    from torch import nn

    from osakd.methods.base import Method


@dataclass(frozen=True)
class PlainSettings:
    """Plain training: cross-entropy alone. Source: the paper's row "w/o OSAKD"."""


@dataclass(frozen=True)
class LabelSmoothingSettings:
    """Cross-entropy with smoothed labels. Source: Szegedy et al., CVPR 2016.

    Args:
        smoothing: probability mass spread evenly over all classes, from 0 to below 1.
    """

    smoothing: float = 0.1


@dataclass(frozen=True)
class OSAKDSettings:
    """Online self-acquired distillation from the k nearest neighbours. Source: Tzelepi and Tefas, ICME 2021.

    Args:
        k: number of neighbours, below the batch size.
        soft_weight: weight (lambda) of the distillation term; by default the dataset's, 0.9 or 0.99.
        pool: where neighbours are looked for: the mini-batch, or a memory of the whole training set.
        space: what is compared: softmax outputs or logits.
        divergence: Kullback-Leibler, squared error averaged over classes, or summed over them.
        balance: CE + w D, (1 - w) CE + w D, or w CE + (1 - w) D.
        count_self: the sample itself is one of its neighbours.
    """

    k: int = 8
    soft_weight: float | None = None
    pool: Literal["batch", "memory"] = "batch"
    space: Literal["softmax", "logits"] = "softmax"
    divergence: Literal["kl", "mse", "mse_sum"] = "kl"
    balance: Literal["additive", "convex", "convex_reversed"] = "additive"
    count_self: bool = False


Settings = PlainSettings | LabelSmoothingSettings | OSAKDSettings
METHODS: dict[str, type[Settings]] = {
    "plain": PlainSettings,
    "osakd": OSAKDSettings,
    "label-smoothing": LabelSmoothingSettings,
}
_SHORTHAND = re.compile(r"osakd-(\d+)nn")


def resolve_method(method: str | Mapping[str, Any], *, soft_weight: float = 0.9) -> tuple[str, dict[str, Any]]:
    """The name and the complete settings of a method.

    Args:
        method: a name (``"osakd"``), a shorthand (``"osakd-16nn"``), or a mapping with ``name`` and settings.
        soft_weight: what a method takes whose settings leave the weight open.

    Returns:
        The name and every setting by name.

    Raises:
        InputError: an unknown name or setting, or a value that is not of its kind.

    Example:
        >>> resolve_method("osakd-16nn")[1]["k"]
        16
    """
    name, settings = _given(method)
    if settings.get("soft_weight", 0) is None:
        settings["soft_weight"] = soft_weight
    return name, settings


def _given(method: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and every setting; a weight that is left open stays None."""
    given: dict[str, Any] = {"name": method} if isinstance(method, str) else dict(method)
    name = str(given.pop("name", ""))
    shorthand = _SHORTHAND.fullmatch(name)
    if shorthand:
        name, given = "osakd", {"k": int(shorthand[1])} | given
    if name not in METHODS:
        raise unknown_name("method", name, METHODS, "; osakd-16nn is osakd with 16 neighbours")
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
    if isinstance(value, bool):
        if field.type is bool:
            return value
    elif field.type is int and isinstance(value, Integral):
        return int(value)
    elif field.type in (float, float | None):
        if value is None and field.default is None:
            return None
        if isinstance(value, Real) and math.isfinite(value):
            return float(value)
    kind = {bool: "true or false", int: "a whole number"}.get(field.type, "a finite number")  # type: ignore[arg-type] - not a type's name
    raise InputError(f"`{field.name}` must be {kind}, got {value!r}.")


def method_label(method: str | Mapping[str, Any]) -> str:
    """A short name for a folder or a table: the method and those of its settings that are not the default.

    Example:
        >>> method_label({"name": "osakd", "k": 4, "pool": "memory"}), method_label("osakd-8nn")
        ('osakd-4nn-memory', 'osakd-8nn')
    """
    name, settings = _given(method)
    defaults = asdict(METHODS[name]())
    changed = {key: value for key, value in settings.items() if key != "k" and value != defaults[key]}
    parts = [f"{name}-{settings['k']}nn" if "k" in settings else name]
    parts += [value if isinstance(value, str) else f"{key}={value}" for key, value in changed.items()]
    return "-".join(parts)


def build_method(
    name: str, settings: Mapping[str, Any], network: "nn.Module", *, num_classes: int, num_samples: int
) -> "Method":
    """The method ``name`` around a network.

    Args:
        name: a name of ``METHODS``.
        settings: every setting, as ``resolve_method`` gives them.
        network: the network to train and deploy.
        num_classes: number of classes.
        num_samples: size of the training set, which is the size of a memory.

    Raises:
        InputError: a setting out of its range.
    """
    from osakd.methods.self_distillation import SelfDistillation

    if name != "osakd":
        return SelfDistillation(network, **settings)
    from osakd.labels.memory import OutputMemory
    from osakd.losses.osakd import OSAKDLoss

    options = dict(settings)
    memory = OutputMemory(num_samples, num_classes) if options.pop("pool") == "memory" else None
    return SelfDistillation(network, OSAKDLoss(num_classes, memory=memory, **options))
