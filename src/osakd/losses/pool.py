"""The pool that a batch's neighbours come from: the batch itself, the batches of all ranks, or a memory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from osakd.labels.memory import OutputMemory
from osakd.labels.ranks import Everyone
from osakd.losses.inputs import used_samples
from osakd.losses.terms import count_of

Space = Literal["softmax", "logits"]
SPACES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(1),
    # Clamped: the difference of two infinite logits would be NaN.
    "logits": lambda logits: logits.clamp(min=torch.finfo(logits.dtype).min),
}
"""The outputs among which neighbours are searched, from logits ``[n, c]``."""


class Pool(NamedTuple):
    """What neighbours are searched for, and among what; see ``neighbour_votes``.

    Attributes:
        queries: outputs of the samples ``[n, c]``.
        target: class index of each sample, 0 where it is ignored ``[n]``, or its class probabilities ``[n, c]``.
        used: False for samples that are ignored ``[n]``; None where all are used.
        rows: row of ``references`` that is the sample itself ``[n]``; None for samples outside the training set.
        references: outputs to search among ``[m, c]``.
        reference_target: class index of each reference ``[m]``, or its class probabilities ``[m, c]``.
        valid: False for references that are never neighbours ``[m]``; None where all may be.
        norms: see ``k_nearest``.
        everyone: the batches of all ranks, where they were joined; else None.
    """

    queries: Tensor
    target: Tensor
    used: Tensor | None
    rows: Tensor | None
    references: Tensor
    reference_target: Tensor
    valid: Tensor | None
    norms: Tensor | None
    everyone: Everyone | None


def pool_of(
    points: Tensor,
    target: Tensor,
    index: Tensor | None,
    num_classes: int,
    ignore_index: int | None,
    memory: OutputMemory | None,
    everyone: Everyone | None,
) -> Pool:
    """The pool of a batch; in training mode the batch, or everyone's, is written into the memory first.

    Args:
        points: outputs of the samples ``[n, c]``.
        target: class index of each sample ``[n]``, or its class probabilities ``[n, c]``.
        index: index of each sample ``[n]``; None for samples outside the training set.
        num_classes: number of classes.
        ignore_index: class index that marks samples to leave out; None for none.
        memory: memory to search; None to search the batch.
        everyone: the batches of all ranks, of which this one is a part; None for this batch alone.

    Raises:
        InputError: a class index out of range; a sample whose class has changed.
    """
    if everyone is not None:
        points, target, index = everyone.points, everyone.target, everyone.index
    own, used = used_samples(target, num_classes, ignore_index)
    if memory is not None and not memory.num_samples:  # eval mode before training
        nobody = torch.zeros(len(points), dtype=torch.bool, device=points.device)
        return Pool(points, own, used, index, points, own, nobody, None, None)
    if memory is not None and index is not None:
        if memory.training and ignore_index is not None:
            memory.check_classes(index, own)
        memory.write(index, points, own, used)
    references, reference_target, valid = points, own, used
    rows = torch.arange(len(points), device=points.device) if memory is None else index
    if everyone is not None:
        everyone, mine = replace(everyone, target=own, used=used), everyone.rows
        points, own, used = points[mine], own[mine], None if used is None else used[mine]
        rows, valid = None if rows is None else rows[mine], everyone.counted()
    if memory is None:
        return Pool(points, own, used, rows, references, reference_target, valid, None, everyone)
    return Pool(points, own, used, rows, memory.outputs, memory.target, memory.valid, memory.norms, everyone)


def mean_total(everyone: Everyone | None, weight: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """What this rank's sum is divided by, so that the average over the ranks is the mean over everyone's samples.

    It is what the samples of all ranks count, over the number of ranks; None for a mean of this batch alone.
    """
    if everyone is None:
        return None
    return count_of(everyone.target, everyone.used, weight, dtype) / len(everyone.ranks.sizes)
