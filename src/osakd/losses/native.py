"""The OSAKD loss of a mini-batch as one operator of the native kernel, where it is one that the kernel knows."""

from typing import NamedTuple

from torch import Tensor

from osakd.kernels import labels as kernel
from osakd.losses.osakd import OSAKDLoss
from osakd.losses.terms import BALANCES


class NativeLoss(NamedTuple):
    """The loss of a mini-batch.

    Attributes:
        total: the loss, a scalar.
        parts: its parts and the figures about the soft labels by name, without gradient.
    """

    total: Tensor
    parts: dict[str, Tensor]


def native_loss(criterion: OSAKDLoss, logits: Tensor, target: Tensor) -> NativeLoss | None:
    """The loss of logits ``[n, c]`` and classes ``[n]``; None where the kernel does not compute it.

    It knows neighbours in the mini-batch that count once each, without anything that is kept of the samples.
    """
    kept = (criterion.memory, criterion.average, criterion.evidence, criterion.weight)
    plain = all(one is None for one in kept) and criterion.weights == "uniform" and criterion.ignore_index is None
    plain = plain and criterion.reduction == "mean"
    neighbours = len(logits) - (not criterion.include_self)
    if not plain or criterion.k > neighbours or target.ndim != 1 or not kernel.takes(logits, target):
        return None
    criterion._started |= criterion.training  # a shorter batch at the end of an epoch is no first one
    reliability = criterion.reliability
    hard_weight, soft_weight = BALANCES[criterion.balance](criterion.soft_weight, 1.0)
    given_up = 0.0 if reliability is None else 1.0 - float(hard_weight)
    # The kernel sums the squared error over the classes.
    share = 1 / criterion.num_classes if criterion.divergence == "mse" else 1.0
    settings = kernel.LossSettings(
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
    total, figures, _, after = kernel.distillation(logits, target, before, settings)
    value, hard, soft, mass, entropy, agreement, now, running = figures.unbind()
    soft = soft if share == 1 else share * soft
    if reliability is not None:
        factor = running.pow(reliability.power)
        hard_weight, soft_weight = BALANCES[criterion.balance](criterion.soft_weight, factor)
        if reliability.training:
            reliability.scores.copy_(after)
    return NativeLoss(
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
