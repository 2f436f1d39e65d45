"""The native kernel's operators for soft labels: neighbours with their votes, and the whole OSAKD loss of a mini-batch.

Each stands for many small operators of PyTorch, which take longer to start than to compute. They are used inside
``native_labels()``, which the executors with the native kernel enter. They map over replicas.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from osakd.labels.posterior import VOTE_COUNTERS, Pool
from osakd.labels.ranks import are_several
from osakd.losses.osakd import LOSSES, MeasuredLoss, OSAKDLoss
from osakd.losses.terms import BALANCES
from osakd.native.kernels.library import load

_Pointer = ctypes.c_void_p
FIGURES, WEIGHTS = 8, 7


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
) -> "Neighbours | None":
    """The neighbours and their votes, see ``VOTE_COUNTERS``; None where the kernel does not compute them."""
    if pool.target.dtype != torch.int64 or not 1 <= k <= len(pool.outputs) or not _takes(queries, pool.outputs):
        return None
    settings = {"num_classes": num_classes, "k": k, "count_all": all_found}
    return neighbours(queries, pool.outputs, pool.target, exclude=exclude, valid=pool.valid, **settings)


def native_loss(criterion: OSAKDLoss, logits: Tensor, target: Tensor) -> MeasuredLoss | None:
    """The loss of logits ``[n, c]`` and classes ``[n]``; None where the kernel does not compute it.

    It knows the mean over a mini-batch whose samples have equal weights, and neighbours in that batch.
    """
    plain = criterion.memory is None and criterion.weight is None and criterion.ignore_index is None
    plain = plain and criterion.reduction == "mean" and target.dtype == torch.int64 and target.ndim == 1
    plain = plain and logits.shape == (len(target), criterion.num_classes)
    plain = plain and not (criterion.gather and are_several(criterion.group))
    if not plain or criterion.k > len(logits) - (not criterion.include_self) or not _takes(logits, target):
        return None
    reliability = criterion.reliability
    hard_weight, soft_weight = BALANCES[criterion.balance](criterion.soft_weight, 1.0)
    given_up = 0.0 if reliability is None else 1.0 - float(hard_weight)
    # The kernel sums the squared error over the classes.
    share = 1 / criterion.num_classes if criterion.divergence == "mse" else 1.0
    settings = LossSettings(
        criterion.k,
        criterion.include_self,
        softmax=criterion.space == "softmax",
        squared=criterion.divergence != "kl",
        hard_weight=float(hard_weight) + given_up,
        soft_weight=float(soft_weight) * share,
        given_up=given_up,
        pseudo_count=criterion.pseudo_count,
        momentum=reliability.momentum if reliability is not None and reliability.training else 1.0,
        power=1.0 if reliability is None else reliability.power,
        label_smoothing=criterion.label_smoothing,
    )
    before = None if reliability is None else reliability.scores
    total, figures, _, after = distillation(logits, target, before, settings)
    value, hard, soft, mass, entropy, agreement, now, running = figures.unbind()
    soft = soft if share == 1 else share * soft
    if reliability is not None:
        factor = running.pow(reliability.power)
        hard_weight, soft_weight = BALANCES[criterion.balance](criterion.soft_weight, factor)
        if reliability.training:
            reliability.scores.copy_(after)
    return MeasuredLoss(
        total,
        {
            "total": value,
            "hard": hard,
            "soft": soft,
            "weighted_hard": hard_weight * hard,
            "weighted_soft": soft_weight * soft,
            "soft_label_mass": mass,
            "soft_label_entropy": entropy,
            "soft_label_agreement": agreement,
            "soft_label_reliability": now,
        },
    )


def _takes(*tensors: Tensor) -> bool:
    """Whether the kernel computes with these tensors: on a CPU, in float32 or int64."""
    return all(tensor.is_cpu and tensor.dtype in (torch.float32, torch.int64) for tensor in tensors)


class Neighbours(NamedTuple):
    """The k nearest references of each query, as ``osakd.labels.neighbours.k_nearest`` gives them, and their votes.

    Attributes:
        distances: squared distances ``[n, k]``.
        rows: rows of the references ``[n, k]``.
        votes: number of neighbours of each class ``[n, num_classes]``.
    """

    distances: Tensor
    rows: Tensor
    votes: Tensor


def neighbours(
    queries: Tensor,
    references: Tensor,
    target: Tensor,
    *,
    num_classes: int,
    k: int,
    count_all: bool,
    exclude: Tensor | None = None,
    valid: Tensor | None = None,
) -> Neighbours:
    """The neighbours among references ``[m, c]`` of classes ``[m]``, and their votes.

    The arguments are those of ``knn_posterior``; unless ``count_all``, neighbours that are infinitely far have no vote.
    """
    masks = [None if mask is None else mask[None] for mask in (exclude, valid)]
    results = _NEIGHBOURS(queries[None], references[None], target[None], *masks, k, num_classes, count_all)
    return Neighbours(*(result[0] for result in results))


class LossSettings(NamedTuple):
    """What the kernel must know of an OSAKD loss; see ``osakd.OSAKDLoss``.

    Attributes:
        k: number of neighbours.
        include_self: whether a sample is its own neighbour.
        softmax: whether neighbours are searched among probabilities; else among logits.
        squared: whether the divergence is the squared error, summed over the classes; else KL.
        hard_weight: weight of the cross-entropy.
        soft_weight: weight of the divergence.
        given_up: what the first gives up for the second where the neighbours are reliable.
        pseudo_count: of every class.
        momentum: of the scores of the votes; 1 takes up nothing.
        power: of the reliability, where it is a factor.
        label_smoothing: of the cross-entropy.
    """

    k: int
    include_self: bool
    softmax: bool
    squared: bool
    hard_weight: float
    soft_weight: float
    given_up: float
    pseudo_count: float
    momentum: float
    power: float
    label_smoothing: float


class Distilled(NamedTuple):
    """The loss of a mini-batch.

    Attributes:
        total: the loss, a scalar with a gradient.
        figures: the loss, cross-entropy, divergence, and of the soft labels the mass of the true class, the entropy,
            the agreement with the class, the reliability, and that of the latest batches, ``[8]``.
        soft_labels: ``[n, c]``.
        scores: those of the votes in the latest batches ``[2, c]``; zeros for a constant weight.
    """

    total: Tensor
    figures: Tensor
    soft_labels: Tensor
    scores: Tensor


def distillation(logits: Tensor, target: Tensor, scores: Tensor | None, settings: LossSettings) -> Distilled:
    """The OSAKD loss of a mini-batch of logits ``[n, c]`` and classes ``[n]``.

    With the scores of the votes so far ``[2, c]``, see ``osakd.labels.reliability``, the new reliability is to its
    power a factor of the divergence's weight.
    """
    k, include_self, softmax, squared, *weights = settings
    flags = [k, int(include_self), int(softmax), int(squared)]
    before = None if scores is None else scores[None]
    total, figures, soft_labels, _, after = _DISTILLATION(logits[None], target[None], before, flags, weights)
    return Distilled(total.squeeze(0), figures.squeeze(0), soft_labels.squeeze(0), after.squeeze(0))


_LIBRARY = torch.library.Library("osakd", "FRAGMENT")
_LIBRARY.define(
    "neighbours(Tensor queries, Tensor references, Tensor target, Tensor? exclude, Tensor? valid, int k, "
    "int num_classes, bool count_all) -> (Tensor, Tensor, Tensor)"
)
_LIBRARY.define(
    "distillation(Tensor logits, Tensor target, Tensor? scores, int[] flags, float[] weights) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)"
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
    logits: Tensor, target: Tensor, scores: Tensor | None, flags: Sequence[int], weights: Sequence[float]
) -> tuple[Tensor, ...]:
    """The total of each replica, its figures, its soft labels, the gradient of its logits, and its scores after it."""
    replicas, n, classes = logits.shape
    logits, target = logits.contiguous(), target.contiguous()
    scores = None if scores is None else scores.contiguous()
    total, figures = logits.new_empty(replicas), logits.new_empty(replicas, FIGURES)
    soft_labels, gradient = torch.empty_like(logits), torch.empty_like(logits)
    after = logits.new_zeros(replicas, 2, classes)
    addresses = _addresses([logits, target, scores, total, figures, soft_labels, gradient, after])
    if len(weights) != WEIGHTS:
        raise ValueError(f"The kernel reads {WEIGHTS} weights, got {len(weights)}.")
    floats = (ctypes.c_float * WEIGHTS)(*weights)
    load().osakd_distillation(_numbers([replicas, n, classes, *flags]), floats, *addresses, torch.get_num_threads())
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
    flags: Sequence[int],  # noqa: ARG001
    weights: Sequence[float],  # noqa: ARG001
) -> tuple[Tensor, ...]:
    replicas = len(logits)
    totals, figures = logits.new_empty(replicas), logits.new_empty(replicas, FIGURES)
    after = logits.new_empty(replicas, 2, logits.shape[2])
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
        return gradients[0][:, None, None] * ctx.saved_tensors[0], None, None, None, None


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
