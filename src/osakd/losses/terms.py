r"""The terms of the loss: cross-entropy with the classes, and distillation towards given soft labels.

.. math:: L = \mathrm{CE}(p, y) + \lambda \, D(p, q)

with p the softmax of the network's outputs, y the class, q the soft label. The paper leaves the balance and the
divergence open; each is an option here.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (5).
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import InputError, unknown_name

Divergence = Literal["kl", "mse", "mse_sum"]
Balance = Literal["additive", "convex", "convex_reversed"]
Value = TypeVar("Value")


class LossParts(NamedTuple):
    """The parts of a distillation loss; all but the soft labels are scalars.

    Attributes:
        total: the loss to minimise.
        hard: cross-entropy with the classes, unweighted.
        soft: divergence from the soft labels, unweighted.
        weighted_hard: contribution of the cross-entropy to the total.
        weighted_soft: contribution of the divergence to the total.
        soft_labels: soft labels ``[n, c]``, without gradient.
    """

    total: Tensor
    hard: Tensor
    soft: Tensor
    weighted_hard: Tensor
    weighted_soft: Tensor
    soft_labels: Tensor


def osakd_loss(
    logits: Float[Tensor, "n c"],
    target: Int[Tensor, " n"],
    soft_labels: Float[Tensor, "n c"],
    *,
    soft_weight: float = 0.9,
    divergence: Divergence = "kl",
    balance: Balance = "additive",
) -> Float[Tensor, ""]:
    r"""Cross-entropy and distillation towards given soft labels, averaged over the batch. Paper: eq. (5).

    Args:
        logits: outputs of the network before the softmax.
        target: class index of each sample, 0 to c - 1.
        soft_labels: rows that sum to 1; no gradient flows into them.
        soft_weight: the weight :math:`\lambda` of the paper, at least 0 (with a convex balance at most 1).
        divergence: ``"kl"`` is :math:`KL(q \| p)`; ``"mse"`` the squared error averaged over samples and classes;
            ``"mse_sum"`` summed over classes and averaged over samples.
        balance: ``"additive"`` is CE + λ D; ``"convex"`` is (1 - λ) CE + λ D; ``"convex_reversed"`` λ CE + (1 - λ) D.

    Returns:
        The loss, a scalar.

    Raises:
        InputError: an unknown option, or a weight out of its range.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        >>> soft_labels = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
        >>> osakd_loss(logits, torch.tensor([0, 1]), soft_labels, soft_weight=0.9)
        tensor(0.1851)
    """
    return loss_parts(
        logits, target, soft_labels, soft_weight=soft_weight, divergence=divergence, balance=balance
    ).total


def loss_parts(
    logits: Float[Tensor, "n c"],
    target: Int[Tensor, " n"],
    soft_labels: Float[Tensor, "n c"],
    *,
    soft_weight: float,
    divergence: Divergence,
    balance: Balance,
) -> LossParts:
    """The same as ``osakd_loss``, with all parts by name."""
    check_weight(soft_weight, balance)
    log_p = F.log_softmax(at_least_float32(logits), dim=1)
    soft_labels = soft_labels.detach().to(log_p.dtype)
    hard = F.nll_loss(log_p, target)
    soft = look_up("divergence", divergence, DIVERGENCES)(log_p, soft_labels)
    hard_weight, weight = look_up("balance", balance, BALANCES)(soft_weight)
    weighted_hard, weighted_soft = hard_weight * hard, weight * soft
    return LossParts(weighted_hard + weighted_soft, hard, soft, weighted_hard, weighted_soft, soft_labels)


def check_weight(soft_weight: float, balance: Balance) -> None:
    """Raises ``InputError`` if the weight is outside the range of its balance."""
    look_up("balance", balance, BALANCES)
    if balance == "additive" and soft_weight < 0:
        raise InputError(f"`soft_weight` must be at least 0, got {soft_weight}.")
    if balance != "additive" and not 0 <= soft_weight <= 1:
        raise InputError(f"`soft_weight` must be between 0 and 1 with balance {balance!r}, got {soft_weight}.")


def _kl(log_p: Tensor, q: Tensor) -> Tensor:
    # xlogy: a class without neighbours adds nothing, whatever its probability.
    return (torch.xlogy(q, q).sum() - (q * log_p).sum()) / len(q)


def _mse(log_p: Tensor, q: Tensor) -> Tensor:
    return (log_p.exp() - q).square().mean()


def _mse_sum(log_p: Tensor, q: Tensor) -> Tensor:
    return (log_p.exp() - q).square().sum(1).mean()


DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"kl": _kl, "mse": _mse, "mse_sum": _mse_sum}
BALANCES: dict[str, Callable[[float], tuple[float, float]]] = {
    "additive": lambda weight: (1.0, weight),
    "convex": lambda weight: (1.0 - weight, weight),
    "convex_reversed": lambda weight: (weight, 1.0 - weight),
}


def look_up(option: str, name: str, table: Mapping[str, Value]) -> Value:
    """The entry of a table; raises ``InputError`` for an unknown name."""
    if name not in table:
        raise unknown_name(option, name, table)
    return table[name]


def at_least_float32(logits: Tensor) -> Tensor:
    """Raises half types to float32; float64 stays."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
