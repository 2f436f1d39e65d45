r"""The terms of the loss: cross-entropy with the classes, and distillation towards given soft labels.

.. math:: L = \mathrm{CE}(p, y) + \lambda \, D(p, q)

with p the softmax of the network's outputs, y the class, q the soft label. The paper leaves the balance and the
divergence open; each is an option here. What ``nn.CrossEntropyLoss`` offers has the same meaning here.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (5).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.checks import choice, number
from osakd.errors import InputError
from osakd.labels.samples import at_least_float32

Divergence = Literal["kl", "mse", "mse_sum"]
Balance = Literal["additive", "convex", "convex_reversed"]
Reduction = Literal["mean", "sum", "none"]
Factor = Tensor | float


class LossParts(NamedTuple):
    """The parts of a distillation loss; scalars, or one value per sample with the reduction ``none``.

    Attributes:
        total: the loss to minimise.
        hard: cross-entropy with the classes, unweighted.
        soft: divergence from the soft labels, unweighted.
        weighted_hard: contribution of the cross-entropy to the total.
        weighted_soft: contribution of the divergence to the total.
        soft_labels: soft labels ``[n, c]``, without gradient.
        soft_weight: weight of the divergence that was used, a scalar without gradient.
    """

    total: Tensor
    hard: Tensor
    soft: Tensor
    weighted_hard: Tensor
    weighted_soft: Tensor
    soft_labels: Tensor
    soft_weight: Tensor


def osakd_loss(
    logits: Float[Tensor, "n c"],
    target: Int[Tensor, " n"] | Float[Tensor, "n c"],
    soft_labels: Float[Tensor, "n c"],
    *,
    soft_weight: float = 0.9,
    divergence: Divergence = "kl",
    balance: Balance = "additive",
    weight: Float[Tensor, " c"] | None = None,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Float[Tensor, "..."]:
    r"""Cross-entropy and distillation towards given soft labels. Paper: eq. (5).

    Args:
        logits: outputs of the network before the softmax. Classes whose logit is :math:`-\infty` are masked: they take
            no part in the divergence.
        target: class index of each sample, 0 to c - 1, or class probabilities.
        soft_labels: rows that sum to 1; no gradient flows into them.
        soft_weight: the weight :math:`\lambda` of the paper, at least 0 (with a convex balance at most 1).
        divergence: ``"kl"`` is :math:`KL(q \| p)`; ``"mse"`` the squared error averaged over samples and classes;
            ``"mse_sum"`` summed over classes and averaged over samples.
        balance: ``"additive"`` is CE + λ D; ``"convex"`` is (1 - λ) CE + λ D; ``"convex_reversed"`` λ CE + (1 - λ) D.
        weight: weight of each class, as in ``nn.CrossEntropyLoss``; a sample's divergence has its class's weight too.
        ignore_index: samples with this class index do not contribute; None if there are none, which saves time.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, as in ``nn.CrossEntropyLoss``.
        label_smoothing: label smoothing of the cross-entropy, from 0 to 1.

    Returns:
        The loss, a scalar; ``[n]`` with the reduction ``"none"``.

    Raises:
        InputError: an unknown option, or a weight out of its range.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        >>> soft_labels = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
        >>> osakd_loss(logits, torch.tensor([0, 1]), soft_labels, soft_weight=0.9)
        tensor(0.1851)
    """
    check_options(soft_weight, divergence, balance, reduction)
    return loss_parts(
        at_least_float32(logits),
        target,
        soft_labels,
        None if ignore_index is None or target.is_floating_point() else target != ignore_index,
        soft_weight=soft_weight,
        divergence=divergence,
        balance=balance,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    ).total


def check_options(soft_weight: float, divergence: str, balance: str, reduction: str) -> None:
    """Checks the options of the loss that are names, and the weight, whose range depends on the balance."""
    choice("divergence", divergence, DIVERGENCES)
    choice("balance", balance, BALANCES)
    choice("reduction", reduction, get_args(Reduction))
    number("soft_weight", soft_weight, least=0)
    if balance != "additive" and soft_weight > 1:
        raise InputError(f"`soft_weight` must be at most 1 with balance {balance!r}, got {soft_weight}.")


def loss_parts(
    logits: Float[Tensor, "n c"],
    target: Int[Tensor, " n"] | Float[Tensor, "n c"],
    soft_labels: Float[Tensor, "n c"],
    used: Bool[Tensor, " n"] | None = None,
    *,
    soft_weight: float,
    divergence: Divergence,
    balance: Balance,
    reliability: Float[Tensor, ""] | float = 1.0,
    weight: Float[Tensor, " c"] | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    total: Tensor | None = None,
) -> LossParts:
    """The same as ``osakd_loss`` for options that were checked and logits of at least float32, with all parts by name.

    ``used`` is False for samples that are ignored; where the weights of a convex balance sum to 1, they still do with a
    ``reliability`` from 0 to 1, a factor of the divergence's. A mean divides by ``total``, else by ``count_of``.
    """
    weight = None if weight is None else weight.to(logits.dtype)
    log_p = F.log_softmax(logits, dim=1)
    soft_labels = soft_labels.detach().to(log_p.dtype)
    each = DIVERGENCES[divergence](log_p, soft_labels)
    probabilities = target.is_floating_point()
    # PyTorch takes no None for "nothing is ignored"; an index that no class has says the same.
    ignored = -100 if ignore_index is None or probabilities else ignore_index
    total = None if reduction != "mean" else total
    reduction = reduction if total is None else "sum"
    if probabilities or weight is not None or label_smoothing:
        options = {"weight": weight, "label_smoothing": label_smoothing, "reduction": reduction}
        hard = F.cross_entropy(logits, target, ignore_index=ignored, **options)
    else:
        hard = F.nll_loss(log_p, target, ignore_index=ignored, reduction=reduction)
    if weight is None and used is None:
        soft = {"mean": each.mean, "sum": each.sum, "none": lambda: each}[reduction]()
    else:
        soft = _weighted(each, target, used, weight, reduction)
    if total is not None:
        hard, soft = hard / total, soft / total
    hard_weight, effective_weight = BALANCES[balance](soft_weight, reliability)
    weighted_hard, weighted_soft = hard_weight * hard, effective_weight * soft
    # Filled, not copied from the host, which a CUDA graph could not capture.
    used_weight = effective_weight if isinstance(effective_weight, Tensor) else soft.new_full((), effective_weight)
    return LossParts(weighted_hard + weighted_soft, hard, soft, weighted_hard, weighted_soft, soft_labels, used_weight)


def soft_share(weighted_soft: Float[Tensor, "..."], total: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The share of a loss that its weighted divergence has; 0 of a loss of 0."""
    return weighted_soft / total.clamp(min=torch.finfo(total.dtype).tiny)


def count_of(
    target: Int[Tensor, " n"] | Float[Tensor, "n c"],
    used: Bool[Tensor, " n"] | None,
    weight: Float[Tensor, " c"] | None,
    dtype: torch.dtype,
) -> Float[Tensor, ""]:
    """What the mean of ``nn.CrossEntropyLoss`` divides by: the used samples, or the weights of their classes."""
    if target.is_floating_point() or weight is None:
        shares = torch.ones(len(target), dtype=dtype, device=target.device)
    else:
        shares = weight.to(dtype)[target]
    return (shares if used is None else torch.where(used, shares, 0)).sum()


def _weighted(each: Tensor, target: Tensor, used: Tensor | None, weight: Tensor | None, reduction: Reduction) -> Tensor:
    """A value per sample, weighted and reduced as ``F.cross_entropy`` does with weights or ignored samples."""
    if target.is_floating_point():
        shares = each.new_ones(len(each)) if weight is None else (target.to(each.dtype) * weight).sum(1)
        total = each.new_tensor(len(each))
    else:
        classes = target if used is None else torch.where(used, target, 0)
        shares = torch.ones_like(each) if weight is None else weight[classes]
        if used is not None:
            shares = torch.where(used, shares, 0.0)
            # Not a product alone: what is ignored may be NaN.
            each = torch.where(used, each, 0.0)
        total = shares.sum()
    weighted = shares * each
    return {"mean": lambda: weighted.sum() / total, "sum": weighted.sum, "none": lambda: weighted}[reduction]()


def _kl(log_p: Tensor, q: Tensor) -> Tensor:
    # A masked class (its logit is minus infinity) adds nothing: 0 times infinity would be NaN.
    masked = torch.isneginf(log_p)
    q, log_p = q.masked_fill(masked, 0), log_p.masked_fill(masked, 0)
    return torch.xlogy(q, q).sum(1) - (q * log_p).sum(1)


def _mse(log_p: Tensor, q: Tensor) -> Tensor:
    return (log_p.exp() - q).square().mean(1)


def _mse_sum(log_p: Tensor, q: Tensor) -> Tensor:
    return (log_p.exp() - q).square().sum(1)


DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"kl": _kl, "mse": _mse, "mse_sum": _mse_sum}
"""Divergence of each sample ``[n]`` from logarithms of probabilities and soft labels, both ``[n, c]``."""
BALANCES: dict[str, Callable[[float, Factor], tuple[Factor, Factor]]] = {
    "additive": lambda weight, reliability: (1.0, weight * reliability),
    "convex": lambda weight, reliability: (1.0 - weight * reliability, weight * reliability),
    "convex_reversed": lambda weight, reliability: (
        1.0 - (1.0 - weight) * reliability,
        (1.0 - weight) * reliability,
    ),
}
"""Weights of the cross-entropy and of the divergence, from the weight that is set and the reliability."""
