"""The native kernel's operators for soft labels: neighbours with their votes, and the whole OSAKD loss of a mini-batch.

Each stands for many small operators of PyTorch, which take longer to start than to compute. They are used inside
``native_labels()``, which the executors with the native kernel enter. They map over replicas.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from osakd.labels.posterior import VOTE_COUNTERS, Pool
from osakd.labels.ranks import are_several
from osakd.labels.reliability import PSEUDO_COUNTS
from osakd.losses.osakd import LOSSES, MeasuredLoss, OSAKDLoss
from osakd.losses.terms import BALANCES
from osakd.native.kernels.library import load

_Pointer = ctypes.c_void_p
FIGURES = (
    "total",
    "hard",
    "soft",
    "weighted_hard",
    "weighted_soft",
    "soft_weight",
    "soft_label_mass",
    "soft_label_entropy",
    "soft_label_agreement",
    "soft_label_reliability",
    "soft_share",
)
_WEIGHTS = 7
_DIVERGENCES = ("kl", "mse_sum", "mse")


@contextmanager
def native_labels() -> Iterator[None]:
    """Inside, soft labels are computed by the kernel where it can; the caller has made sure that there is one."""
    VOTE_COUNTERS.append(native_votes)
    LOSSES.append(native_loss)
    try:
        yield
    finally:
        VOTE_COUNTERS.pop()
        LOSSES.pop()


def native_votes(
    queries: Tensor, pool: Pool, num_classes: int, k: int, exclude: Tensor | None, all_found: bool
) -> tuple[Tensor, Tensor, Tensor] | None:
    """The neighbours and their votes, see ``VOTE_COUNTERS``; None where the kernel does not compute them."""
    if pool.target.dtype != torch.int64 or not 1 <= k <= len(pool.outputs) or not _takes(queries, pool.outputs):
        return None
    masks = [None if mask is None else mask[None] for mask in (exclude, pool.valid)]
    results = _NEIGHBOURS(queries[None], pool.outputs[None], pool.target[None], *masks, k, num_classes, all_found)
    distances, rows, votes = (result[0] for result in results)
    return distances, rows, votes


def native_loss(criterion: OSAKDLoss, logits: Tensor, target: Tensor) -> MeasuredLoss | None:
    """The loss of logits ``[n, c]`` and classes ``[n]``; None where the kernel does not compute it.

    It knows the mean over a mini-batch whose samples have equal weights, and neighbours in that batch or in a queue,
    among probabilities.
    """
    queue, reliability = criterion.queue, criterion.reliability
    plain = (
        criterion.space == "softmax"
        and criterion.memory is None
        and criterion.weight is None
        and criterion.ignore_index is None
    )
    plain = plain and criterion.reduction == "mean" and target.dtype == torch.int64 and target.ndim == 1
    plain = plain and logits.shape == (len(target), criterion.num_classes)
    plain = plain and not (criterion.gather and are_several(criterion.group))
    largest = len(logits) - (not criterion.include_self)
    if queue is not None:
        plain = plain and criterion.learns and len(logits) <= queue.size and _takes(queue.outputs, queue.target)
        largest = queue.size - (not criterion.include_self)
    if not plain or criterion.k > largest or not _takes(logits, target):
        return None
    kept = [None] * 4 if queue is None else [part[None] for part in queue.buffers()]
    hard_weight, soft_weight = BALANCES[criterion.balance](criterion.soft_weight, 1.0)
    # What the cross-entropy gives up for the divergence where the neighbours are reliable.
    given_up = 0.0 if reliability is None else 1.0 - float(hard_weight)
    divergence = _DIVERGENCES.index(criterion.divergence)
    flags = [criterion.k, int(criterion.include_self), divergence]
    weights = [
        float(hard_weight) + given_up,
        float(soft_weight),
        given_up,
        criterion.pseudo_count,
        reliability.momentum if reliability is not None and criterion.learns else 1.0,
        1.0 if reliability is None else reliability.power,
        criterion.label_smoothing,
        *(PSEUDO_COUNTS if reliability is None else reliability.pseudo_counts),
    ]
    before = None if reliability is None else reliability.scores[None]
    results = _DISTILLATION(logits[None], target[None], before, *kept, flags, weights)
    total, figures, _, _, after = (result.squeeze(0) for result in results)
    if reliability is not None and criterion.learns:
        reliability.scores.copy_(after)
    return MeasuredLoss(total, dict(zip(FIGURES, figures.unbind(), strict=True)))


def _takes(*tensors: Tensor) -> bool:
    """Whether the kernel computes with these tensors: on a CPU, in float32 or int64."""
    return all(tensor.is_cpu and tensor.dtype in (torch.float32, torch.int64) for tensor in tensors)


_LIBRARY = torch.library.Library("osakd", "FRAGMENT")
_LIBRARY.define(
    "neighbours(Tensor queries, Tensor references, Tensor target, Tensor? exclude, Tensor? valid, int k, "
    "int num_classes, bool count_all) -> (Tensor, Tensor, Tensor)"
)
_LIBRARY.define(
    "distillation(Tensor logits, Tensor target, Tensor? scores, Tensor(a!)? outputs, Tensor(b!)? votes, "
    "Tensor(c!)? valid, Tensor(d!)? place, int[] flags, float[] weights) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
_NEIGHBOURS: Any = torch.ops.osakd.neighbours.default
_DISTILLATION: Any = torch.ops.osakd.distillation.default


def _neighbours(
    queries: Tensor,
    references: Tensor,
    target: Tensor,
    exclude: Tensor | None,
    valid: Tensor | None,
    k: int,
    num_classes: int,
    count_all: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    replicas, n, columns = queries.shape
    distances = queries.new_empty(replicas, n, k)
    rows, votes = target.new_empty(replicas, n, k), queries.new_zeros(replicas, n, num_classes)
    sizes = [replicas, n, references.shape[1], columns, k, num_classes, int(count_all)]
    inputs = [part if part is None else part.contiguous() for part in (queries, references, target, exclude, valid)]
    load().osakd_neighbours(_numbers(sizes), *_addresses([*inputs, distances, rows, votes]), torch.get_num_threads())
    return distances, rows, votes


def _distillation(
    logits: Tensor,
    target: Tensor,
    scores: Tensor | None,
    outputs: Tensor | None,
    votes: Tensor | None,
    valid: Tensor | None,
    place: Tensor | None,
    flags: Sequence[int],
    weights: Sequence[float],
) -> tuple[Tensor, ...]:
    """The total of each replica's mini-batch, its ``FIGURES``, soft labels, gradient, scores after it: see labels.h."""
    replicas, n, classes = logits.shape
    inputs = [part if part is None else part.contiguous() for part in (logits, target, scores)]
    total, figures = logits.new_empty(replicas), logits.new_empty(replicas, len(FIGURES))
    soft_labels, gradient = (torch.empty_like(logits, memory_format=torch.contiguous_format) for _ in range(2))
    scored_with = len(weights) - _WEIGHTS
    if scored_with < 1 or (scores is not None and scores.shape[1] != scored_with + 1):
        raise ValueError(
            f"The kernel reads {_WEIGHTS} weights and the pseudo-counts of the scores, got {len(weights)}."
        )
    after = logits.new_zeros(replicas, scored_with + 1, classes)
    sizes = [replicas, n, classes, *flags, scored_with, 0 if outputs is None else outputs.shape[1]]
    addresses = _addresses([*inputs, outputs, votes, valid, place, total, figures, soft_labels, gradient, after])
    floats = (ctypes.c_float * len(weights))(*weights)
    load().osakd_distillation(_numbers(sizes), floats, *addresses, torch.get_num_threads())
    return total, figures, soft_labels, gradient, after


@torch.library.register_fake("osakd::neighbours", lib=_LIBRARY)
def _(
    queries: Tensor,
    references: Tensor,  # noqa: ARG001 - the operator's signature
    target: Tensor,
    exclude: Tensor | None,  # noqa: ARG001
    valid: Tensor | None,  # noqa: ARG001
    k: int,
    num_classes: int,
    count_all: bool,  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor]:
    size = queries.shape[:2]
    return queries.new_empty(*size, k), target.new_empty(*size, k), queries.new_empty(*size, num_classes)


@torch.library.register_fake("osakd::distillation", lib=_LIBRARY)
def _(
    logits: Tensor,
    target: Tensor,  # noqa: ARG001
    scores: Tensor | None,  # noqa: ARG001
    outputs: Tensor | None,  # noqa: ARG001
    votes: Tensor | None,  # noqa: ARG001
    valid: Tensor | None,  # noqa: ARG001
    place: Tensor | None,  # noqa: ARG001
    flags: Sequence[int],  # noqa: ARG001
    weights: Sequence[float],
) -> tuple[Tensor, ...]:
    replicas = len(logits)
    totals, figures = logits.new_empty(replicas), logits.new_empty(replicas, len(FIGURES))
    after = logits.new_empty(replicas, len(weights) - _WEIGHTS + 1, logits.shape[2])
    return totals, figures, torch.empty_like(logits), torch.empty_like(logits), after


class _Differentiable(torch.autograd.Function):
    """The loss, whose gradient the forward pass has computed."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            total, figures, soft_labels, gradient, after = _DISTILLATION(*arguments)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(figures, soft_labels, gradient, after)
        ctx.set_materialize_grads(False)
        return total, figures, soft_labels, gradient, after

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0][:, None, None] * ctx.saved_tensors[0], *[None] * 8


def _mapped(operator: Callable[..., Any]) -> Callable[..., Any]:
    """The operator mapped over replicas, which become part of its first axis."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        size = info.batch_size
        flat = [
            (value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)).flatten(0, 1)
            if isinstance(value, Tensor)
            else value
            for value, dim in zip(arguments, in_dims, strict=True)
        ]
        results = operator(*flat)
        return tuple(result.unflatten(0, (size, -1)) for result in results), (0,) * len(results)

    return rule


def _numbers(sizes: Sequence[int]) -> Any:
    return (ctypes.c_int64 * len(sizes))(*sizes)


def _addresses(tensors: Sequence[Tensor | None]) -> list[Any]:
    """The addresses of the tensors; null for None."""
    return [_Pointer(None if tensor is None else tensor.data_ptr()) for tensor in tensors]


_LIBRARY.impl("neighbours", _neighbours, "CPU")
_LIBRARY.impl("distillation", _distillation, "CPU")
_LIBRARY.impl("distillation", _Differentiable.apply, "Autograd")
torch.library.register_vmap("osakd::neighbours", _mapped(_NEIGHBOURS), lib=_LIBRARY)
torch.library.register_vmap("osakd::distillation", _mapped(_DISTILLATION), lib=_LIBRARY)
