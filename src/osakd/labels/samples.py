"""A mini-batch as soft labels and losses use it: parsed once from what a loop passes, then trusted.

Shapes are always checked. Values are read on the CPU in eager mode only: under ``torch.compile``, ``vmap`` and on a
GPU reading them is impossible or would make the host wait. There, a class index out of range is undefined, as it is
for ``torch.nn.functional.cross_entropy`` on a GPU.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from osakd.errors import InputError


class Samples(NamedTuple):
    """The samples of a mini-batch, a row for each.

    Attributes:
        logits: outputs of the network ``[n, c]``, at least float32.
        target: class index of each sample ``[n]``, int64, which may be the ignored one; or class probabilities
            ``[n, c]``.
        index: row of each sample in the training set ``[n]``; None where it is not known.
    """

    logits: Tensor
    target: Tensor
    index: Tensor | None  # pyright: ignore[reportIncompatibleMethodOverride] - not a sequence to search


def as_samples(logits: Tensor, target: Tensor, index: Tensor | None, num_classes: int) -> Samples:
    """The samples of a batch ``[n, c, *d]``; every position of the further dimensions is a sample.

    Raises:
        InputError: an argument that is not a tensor, shapes that do not fit together, or an index that does not number
            samples.
    """
    for name, value in (("logits", logits), ("target", target), ("index", index)):
        if not isinstance(value, Tensor) and (name != "index" or value is not None):
            raise InputError(f"`{name}` must be a tensor, got {type(value).__name__}: convert it with torch.as_tensor.")
    if index is not None and (index.dtype not in (torch.int32, torch.int64) or index.ndim != 1):
        raise InputError(
            f"`index` must be of shape [{len(logits)}] and type int64, got {list(index.shape)} of {index.dtype}: "
            "number the training samples with `WithIndex`."
        )
    if logits.ndim < 2:
        raise InputError(f"`logits` must be of shape [n, {num_classes}], got {list(logits.shape)}.")
    if logits.shape[1] != num_classes:
        raise InputError(
            f"The network gives {logits.shape[1]} outputs, but `num_classes` is {num_classes}: make them equal."
        )
    probabilities = target.is_floating_point()
    expected = logits.shape if probabilities else (logits.shape[0], *logits.shape[2:])
    if target.shape != expected:
        kind = "class probabilities" if probabilities else "class indices"
        raise InputError(f"`target` must be {kind} of shape {list(expected)}, got {list(target.shape)}.")
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.ndim > 2:
        logits = logits.movedim(1, -1).flatten(0, -2)
        target = target.movedim(1, -1).flatten(0, -2) if probabilities else target.flatten()
    return Samples(logits, target if probabilities else target.long(), index)


def without_ignored(target: Tensor, num_classes: int, ignore_index: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Targets with class 0 where they are ignored, and a mask of the others ``[n]``; None where none is for certain.

    Raises:
        InputError: a class index out of range that is not ``ignore_index``.
    """
    if target.is_floating_point():
        return target, None
    extremes = read_extremes(target)
    if extremes is not None and extremes[0] >= 0 and extremes[1] < num_classes:
        return target, None
    if extremes is not None:
        wrong = (target < 0) | (target >= num_classes)
        if ignore_index is not None:
            wrong &= target != ignore_index
        if wrong.any():
            ignored = "" if ignore_index is None else f", or {ignore_index} (`ignore_index`)"
            raise InputError(
                f"`target` must hold class indices from 0 to {num_classes - 1}{ignored}, got {int(target[wrong][0])}: "
                "correct the labels or `num_classes`."
            )
    if ignore_index is None:
        return target, None
    used = target != ignore_index
    return torch.where(used, target, 0), used


def read_extremes(values: Tensor) -> tuple[int, int] | None:
    """The smallest and the largest value; None where there is none or where they cannot be read."""
    if torch.compiler.is_compiling() or values.device.type != "cpu" or not values.numel():
        return None
    try:
        lowest, highest = values.aminmax()
        return int(lowest), int(highest)
    except RuntimeError:  # mapped or fake tensors have no values
        return None


def as_probabilities(target: Tensor, like: Tensor) -> Tensor:
    """Class probabilities ``[n, c]`` of targets, of the type and width of ``like``: 0 and 1 for class indices."""
    if not target.is_floating_point():
        # A comparison, not F.one_hot: that one cannot be mapped over replicas.
        target = target[:, None] == torch.arange(like.shape[1], device=target.device)
    return target.to(like.dtype)


def at_least_float32(logits: Tensor) -> Tensor:
    """Raises half types to float32; float64 stays."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
