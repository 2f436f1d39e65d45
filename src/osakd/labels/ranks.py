"""The samples of all ranks, where ``torch.distributed`` runs on several: what looks at other samples sees them all.

What is gathered has no gradient: neighbours and their classes are constants of the loss. Every rank gets the same rows
in the same order, so what is written from them is equal on all ranks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from osakd.errors import InputError


class Ranks(NamedTuple):
    """The ranks that take part in a step: the number of samples of each, this rank, the group (None: the default)."""

    sizes: list[int]
    rank: int
    group: dist.ProcessGroup | None

    def gather(self, *tensors: Tensor) -> list[Tensor]:
        """The rows of all ranks, in rank order, of tensors with one row per sample of this rank; one collective."""
        rows = torch.cat([_as_bytes(tensor) for tensor in tensors], dim=1)
        padded = torch.nn.functional.pad(rows, (0, 0, 0, max(self.sizes) - len(rows)))
        received = [torch.empty_like(padded) for _ in self.sizes]
        dist.all_gather(received, padded, group=self.group)
        joined = torch.cat([part[:size] for part, size in zip(received, self.sizes, strict=True)])
        columns = joined.split([_as_bytes(tensor).shape[1] for tensor in tensors], dim=1)
        # A clone: a view as another type needs the bytes of a row together, at a multiple of the type's size.
        values = (part.clone(memory_format=torch.contiguous_format) for part in columns)
        return [
            part.view(tensor.dtype).view(-1, *tensor.shape[1:]) for part, tensor in zip(values, tensors, strict=True)
        ]


@dataclass(frozen=True)
class Everyone:
    """The batches of all ranks, one after the other in rank order.

    A sample that several ranks have, because a sampler repeated it, is one sample: what its first row holds counts for
    every row of it, and only that row may be a neighbour.

    Attributes:
        points: outputs ``[m, c]``.
        target: class index of each sample ``[m]``, or its class probabilities ``[m, c]``.
        index: index of each sample ``[m]``; None where no rank gave one.
        rows: first row of each sample of this rank ``[n]``.
        first: False for rows that repeat a sample ``[m]``; None where no index says so.
        ranks: the ranks.
        used: False for samples that are ignored ``[m]``; None where all are used.
    """

    points: Tensor
    target: Tensor
    index: Tensor | None
    rows: Tensor
    first: Tensor | None
    ranks: Ranks
    used: Tensor | None = None

    def counted(self) -> Tensor | None:
        """False for rows that are ignored, or that repeat a sample ``[m]``; None where all count."""
        if self.first is None or self.used is None:
            return self.used if self.first is None else self.first
        return self.first & self.used

    def of_this_rank(self, values: Tensor) -> Tensor:
        """Of values for all samples ``[m, ...]`` those of this rank's samples ``[n, ...]``."""
        return values[self.rows]


def are_several(group: dist.ProcessGroup | None) -> bool:
    """Whether ``torch.distributed`` runs on several ranks of a group; an InputError if this process is not in it."""
    if not (dist.is_available() and dist.is_initialized()):
        return False
    size = dist.get_world_size(group)
    if size < 1:
        raise InputError("This process is not in `group`: give a group that it is in, or gather=False.")
    return size > 1


def join(points: Tensor, target: Tensor, index: Tensor | None, group: dist.ProcessGroup | None) -> Everyone:
    """The batches of all ranks of a group; two collectives, in which every rank takes part, even without samples."""
    tensors = [points.detach(), target.detach()] + ([] if index is None else [index.long()])
    ranks = _ranks_of(tensors, group)
    points, target, *rest = ranks.gather(*tensors)
    start = sum(ranks.sizes[: ranks.rank])
    rows = torch.arange(len(points), device=points.device)
    if not rest:
        return Everyone(points, target, None, rows[start : start + ranks.sizes[ranks.rank]], None, ranks)
    first = _first_rows(rest[0])
    rows_of_this_rank = first[start : start + ranks.sizes[ranks.rank]]
    return Everyone(points[first], target[first], rest[0], rows_of_this_rank, first == rows, ranks)


def _ranks_of(tensors: Sequence[Tensor], group: dist.ProcessGroup | None) -> Ranks:
    """The sizes of all ranks, which must give tensors of the same types and widths."""
    widths = [_as_bytes(tensor).shape[1] for tensor in tensors] + [0] * (3 - len(tensors))
    kind = [tensors[1].is_floating_point(), *widths]
    sizes = torch.tensor([len(tensors[0]), *kind], device=tensors[0].device)
    received = [torch.empty_like(sizes) for _ in range(dist.get_world_size(group))]
    dist.all_gather(received, sizes, group=group)
    counts = torch.stack(received).tolist()
    if any(before[1:] != after[1:] for before, after in pairwise(counts)):
        raise InputError(
            "The ranks must agree: give every rank the samples' `index` or none, targets of one kind (class indices or "
            "class probabilities), and logits of one type."
        )
    return Ranks([size for size, *_ in counts], dist.get_rank(group), group)


def _first_rows(index: Tensor) -> Tensor:
    """The first row ``[m]`` that has the same index as each row."""
    values, order = index.sort(stable=True)
    rows = torch.arange(len(index), device=index.device)
    new = torch.cat([values.new_ones(1, dtype=torch.bool), values[1:] != values[:-1]])[: len(index)]
    start = torch.where(new, rows, 0).cummax(0).values
    return torch.empty_like(order).index_put_((order,), order[start])


def _as_bytes(tensor: Tensor) -> Tensor:
    """The bytes of each row ``[n, bytes]`` of values ``[n]`` or rows ``[n, c]``."""
    rows = tensor if tensor.ndim == 2 else tensor[:, None]
    return rows.contiguous().view(torch.uint8)
