"""Checks of what a user's loop passes to the loss, and the samples in it."""

from collections.abc import Sequence
from math import inf
from numbers import Integral

import torch
from torch import Tensor

from osakd.errors import InputError
from osakd.labels.kept import KeptPerSample
from osakd.labels.reliability import Reliability
from osakd.labels.targets import any_ignored, check_index, check_tensor


def as_samples(logits: Tensor, target: Tensor, index: Tensor | None, num_classes: int) -> tuple[Tensor, Tensor]:
    """Checked logits ``[n, c]`` and targets ``[n]`` or ``[n, c]``; every position of further dimensions is a sample.

    Raises:
        InputError: something that is no tensor, shapes that do not fit together, or an index that is no row number.
    """
    for name, value in (("logits", logits), ("target", target), ("index", index)):
        if name != "index" or index is not None:
            check_tensor(name, value)
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
    if logits.ndim > 2:
        logits = logits.movedim(1, -1).flatten(0, -2)
        target = target.movedim(1, -1).flatten(0, -2) if probabilities else target.flatten()
    return logits, target if probabilities else target.long()


def check_gathered(
    num_classes: int,
    memory: KeptPerSample | None,
    average: KeptPerSample | None,
    evidence: KeptPerSample | None,
    label_smoothing: float,
) -> None:
    """Raises ``InputError`` if what a loss keeps of every sample does not fit together or to the classes."""
    if average is not None and evidence is not None:
        raise InputError("`average` and `evidence` both gather soft labels over the epochs: give one of them.")
    if evidence is not None and label_smoothing:
        raise InputError("A loss with evidence has no cross-entropy to smooth: set the evidence's own `smoothing`.")
    for kept in (memory, average, evidence):
        if kept is not None and kept.num_classes != num_classes:
            raise InputError(f"The memory is for {kept.num_classes} classes, but `num_classes` is {num_classes}.")


def check_kept(kept: Sequence[int], index: Tensor | None, samples: int, *, training: bool, values: bool) -> None:
    """Checks the ``index`` of a loss that keeps something of every training sample.

    Args:
        kept: for how many samples each of what it keeps is; empty for a loss that keeps nothing.
        index: index of each sample, or None.
        samples: number of samples in the batch.
        training: whether what is kept is written.
        values: whether the values of the index are looked at.

    Raises:
        InputError: no number of samples or no index in training; an index of another length, or with values outside
            the training set.
    """
    if not kept:
        return
    if 0 in kept and (training or index is not None):
        raise InputError(
            "The loss does not know the number of training samples yet: give it as `num_samples`, call `resize`, or "
            "train with an integration of osakd, which does."
        )
    if index is None:
        if training:
            raise InputError(
                "A loss with a memory, an average or evidence needs the samples' `index` in training: wrap the "
                "training set in `WithIndex` and call loss(logits, target, index); for other data call loss.eval() "
                "first."
            )
        return
    if len(index) != samples:
        raise InputError(f"`index` must hold one index per sample ({samples}), got {len(index)}.")
    if values:
        for num_samples in kept:
            check_index(index, num_samples)


def used_samples(target: Tensor, num_classes: int, ignore_index: int | None) -> tuple[Tensor, Tensor | None]:
    """Targets with class 0 where they are ignored, and which samples are not ignored; None where none is for certain.

    Raises:
        InputError: a class index out of range.
    """
    if target.is_floating_point() or ignore_index is None or any_ignored(target, num_classes, ignore_index) is False:
        return target, None
    used = target != ignore_index
    return torch.where(used, target, 0), used


def as_reliability(value: Reliability | bool, num_classes: int, k: int, *, include_self: bool) -> Reliability | None:
    """The reliability that weights the soft term, of so many classes; None for a constant weight.

    Raises:
        InputError: it is neither, or the only neighbour is the sample itself.
    """
    if not isinstance(value, Reliability | bool):
        raise InputError(f"`reliability` must be True, False or a Reliability, got {value!r}.")
    if value is not False and k == 1 and include_self:
        raise InputError(
            "With `k` = 1 the only neighbour is the sample itself, which is never reliable: take a larger k, or "
            "include_self=False."
        )
    found = Reliability() if value is True else value or None
    return found and found.resize(num_classes)


def check_k(k: int, batch: int, memory: int | None, *, include_self: bool) -> None:
    """Raises ``InputError`` unless a batch of so many samples, or a memory, has k neighbours for each of them."""
    largest = (batch if memory is None else memory) - (not include_self)
    if largest < 1:
        raise InputError(f"A batch of {batch} samples has no neighbours: give at least {1 + (not include_self)}.")
    if k > largest:
        kind = "samples" if include_self else "other samples"
        place, remedy = ("batch", ", a larger batch or a memory") if memory is None else ("memory", "")
        raise InputError(
            f"`k` must be between 1 and {largest} ({largest} {kind} in the {place}), got {k}: take a smaller k{remedy}."
        )


def check_numbers(
    num_classes: object, k: object, pseudo_count: float | None, label_smoothing: float, weight: Tensor | None
) -> None:
    """Raises ``InputError`` if a number that the loss is made with is out of its range."""
    check_whole("num_classes", num_classes, least=2)
    check_whole("k", k, least=1)
    if pseudo_count is not None and not 0 <= pseudo_count < inf:
        raise InputError(f"`pseudo_count` must be at least 0 and finite, got {pseudo_count}.")
    if not 0 <= label_smoothing <= 1:
        raise InputError(f"`label_smoothing` must be between 0 and 1, got {label_smoothing}.")
    if weight is None:
        return
    check_tensor("weight", weight)
    if weight.shape != (num_classes,):
        raise InputError(f"`weight` must be of shape [{num_classes}], got {list(weight.shape)}.")


def check_whole(name: str, value: object, *, least: int) -> None:
    """Raises ``InputError`` unless the value is a whole number of at least ``least``."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputError(f"`{name}` must be a whole number, got {value!r}.")
    if int(value) < least:
        raise InputError(f"`{name}` must be at least {least}, got {value}.")
