r"""The loss of online self-acquired knowledge distillation: cross-entropy plus a pull towards the soft labels.

.. math:: L = \mathrm{CE}(p, y) + \lambda \, D(p, q)

with p the softmax of the network's outputs, y the class, q the soft label that p's own neighbourhood gives. The paper
leaves the balance, the divergence, the space and the neighbours' pool open; each is a named option here.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (5).
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import InputError, unknown_name
from osakd.labels.memory import OutputMemory
from osakd.labels.posterior import posterior_and_found

Divergence = Literal["kl", "mse", "mse_sum"]
Balance = Literal["additive", "convex", "convex_reversed"]
Space = Literal["softmax", "logits"]
Value = TypeVar("Value")


class LossParts(NamedTuple):
    """What a distillation loss is made of; scalars, but for the soft labels.

    Attributes:
        total: the loss to minimise.
        hard: cross-entropy with the classes, unweighted.
        soft: divergence from the soft labels, unweighted.
        weighted_hard: its share of the total.
        weighted_soft: its share of the total.
        soft_labels: ``[n, c]``, constant.
    """

    total: Tensor
    hard: Tensor
    soft: Tensor
    weighted_hard: Tensor
    weighted_soft: Tensor
    soft_labels: Tensor


def osakd_loss(
    logits: Float[Tensor, "n c"],
    classes: Int[Tensor, " n"],
    soft_labels: Float[Tensor, "n c"],
    *,
    soft_weight: float = 0.9,
    divergence: Divergence = "kl",
    balance: Balance = "additive",
) -> Float[Tensor, ""]:
    r"""Cross-entropy and distillation towards given soft labels, averaged over the batch. Paper: eq. (5).

    Args:
        logits: outputs of the network before the softmax.
        classes: class of each sample, 0 to c - 1.
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
        logits, classes, soft_labels, soft_weight=soft_weight, divergence=divergence, balance=balance
    ).total


def loss_parts(
    logits: Float[Tensor, "n c"],
    classes: Int[Tensor, " n"],
    soft_labels: Float[Tensor, "n c"],
    *,
    soft_weight: float,
    divergence: Divergence,
    balance: Balance,
) -> LossParts:
    """As ``osakd_loss``, with every part by name."""
    check_weight(soft_weight, balance)
    log_p = F.log_softmax(_at_least_float32(logits), dim=1)
    soft_labels = soft_labels.detach().to(log_p.dtype)
    hard = F.nll_loss(log_p, classes)
    soft = _look_up("divergence", divergence, DIVERGENCES)(log_p, soft_labels)
    hard_weight, weight = _look_up("balance", balance, BALANCES)(soft_weight)
    weighted_hard, weighted_soft = hard_weight * hard, weight * soft
    return LossParts(weighted_hard + weighted_soft, hard, soft, weighted_hard, weighted_soft, soft_labels)


class OSAKDLoss(nn.Module):
    r"""Cross-entropy plus online self-acquired distillation, in place of ``nn.CrossEntropyLoss`` in any loop.

    Args:
        num_classes: number of classes, at least 2.
        k: number of neighbours, at least 1 and below the batch size.
        soft_weight: the weight :math:`\lambda` of the distillation term, see ``osakd_loss``.
        space: neighbours are looked for among ``"softmax"`` outputs or ``"logits"``.
        divergence: see ``osakd_loss``.
        balance: see ``osakd_loss``.
        count_self: the sample itself counts as one of its neighbours.
        memory: look for neighbours among the latest outputs of the whole training set instead of the mini-batch; every
            call in training mode then needs the samples' ``index``.

    Raises:
        InputError: a value out of its range, at construction or at the first batch; a missing ``index``.

    Example:
        >>> loss = OSAKDLoss(num_classes=3, k=2)
        >>> logits = torch.randn(8, 3, requires_grad=True)
        >>> loss(logits, torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])).backward()

    Reference:
        Tzelepi and Tefas, ICME 2021, eq. (4) and (5).
    """

    def __init__(
        self,
        num_classes: int,
        k: int = 8,
        soft_weight: float = 0.9,
        *,
        space: Space = "softmax",
        divergence: Divergence = "kl",
        balance: Balance = "additive",
        count_self: bool = False,
        memory: OutputMemory | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise InputError(f"`num_classes` must be at least 2, got {num_classes}.")
        if k < 1:
            raise InputError(f"`k` must be at least 1, got {k}.")
        check_weight(soft_weight, balance)
        _look_up("divergence", divergence, DIVERGENCES)
        _look_up("space", space, SPACES)
        if memory is not None and memory.outputs.shape[1] != num_classes:
            raise InputError(
                f"The memory holds outputs of {memory.outputs.shape[1]} classes, but `num_classes` is {num_classes}."
            )
        self.num_classes, self.k, self.soft_weight = num_classes, k, soft_weight
        self.space: Space = space
        self.divergence: Divergence = divergence
        self.balance: Balance = balance
        self.count_self, self.memory = count_self, memory
        self._started = False

    def forward(
        self, logits: Float[Tensor, "n c"], classes: Int[Tensor, " n"], index: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of a batch.

        Args:
            logits: outputs of the network before the softmax.
            classes: class of each sample, 0 to c - 1.
            index: number of each sample in the training set; needed with a memory (``WithIndex`` gives it). In eval
                mode it may be left out: the samples are then not among the memory's rows.

        Returns:
            The loss, a scalar.
        """
        return self.terms(logits, classes, index).total

    def terms(
        self, logits: Float[Tensor, "n c"], classes: Int[Tensor, " n"], index: Int[Tensor, " n"] | None = None
    ) -> LossParts:
        """As calling the loss, with every part by name, for logging."""
        soft_labels = self.soft_labels(logits, classes, index)
        options = {"soft_weight": self.soft_weight, "divergence": self.divergence, "balance": self.balance}
        return loss_parts(logits, classes, soft_labels, **options)

    @torch.no_grad()
    def soft_labels(
        self, logits: Float[Tensor, "n c"], classes: Int[Tensor, " n"], index: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n c"]:
        """The soft labels of a batch, at least in float32; a sample that finds no neighbour keeps its hard label."""
        self._check_batch(logits, index)
        with torch.autocast(logits.device.type, enabled=False):
            return self._soft_labels(logits, classes, index)

    def _soft_labels(self, logits: Tensor, classes: Tensor, index: Tensor | None) -> Tensor:
        points = SPACES[self.space](_at_least_float32(logits))
        if self.memory is None:
            rows = torch.arange(len(points), device=points.device)
            references, reference_classes, valid, norms = points, classes, None, None
        else:
            if index is not None:
                self.memory.write(index, points, classes)
            rows = index
            references, norms = self.memory.outputs, self.memory.norms
            reference_classes, valid = self.memory.classes, self.memory.valid
        found_labels, found = posterior_and_found(
            points,
            references,
            reference_classes,
            num_classes=self.num_classes,
            k=min(self.k, len(references)),
            exclude=None if self.count_self else rows,
            valid=valid,
            norms=norms,
        )
        if found is None:
            return found_labels
        hard_labels = (classes[:, None] == torch.arange(self.num_classes, device=classes.device)).to(found_labels.dtype)
        return torch.where(found, found_labels, hard_labels)

    def extra_repr(self) -> str:
        """The settings, for ``print``."""
        return (
            f"num_classes={self.num_classes}, k={self.k}, soft_weight={self.soft_weight}, space={self.space!r}, "
            f"divergence={self.divergence!r}, balance={self.balance!r}, count_self={self.count_self}"
        )

    def _check_batch(self, logits: Tensor, index: Tensor | None) -> None:
        if logits.ndim != 2:
            raise InputError(f"`logits` must be of shape [n, {self.num_classes}], got {list(logits.shape)}.")
        if logits.shape[1] != self.num_classes:
            raise InputError(
                f"The network gives {logits.shape[1]} outputs, but `num_classes` is {self.num_classes}: "
                "make them equal."
            )
        if self.memory is not None and index is None and self.training:
            raise InputError(
                "A loss with a memory needs the samples' `index` in training: wrap the dataset in `WithIndex` and "
                "call loss(logits, classes, index)."
            )
        # The first batch decides: a shorter one at the end of an epoch uses what neighbours it has.
        if self.training and not self._started:
            largest = len(logits) if self.count_self else len(logits) - 1
            if self.k > largest:
                kind = "samples" if self.count_self else "other samples"
                raise InputError(
                    f"`k` must be between 1 and {largest} ({largest} {kind} in the batch), got {self.k}: take a "
                    "smaller k or a larger batch."
                )
            self._started = True


def check_weight(soft_weight: float, balance: Balance) -> None:
    """Raises ``InputError`` where the weight is out of the range of its balance."""
    _look_up("balance", balance, BALANCES)
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
SPACES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(1),
    "logits": lambda logits: logits,
}


def _look_up(option: str, name: str, table: Mapping[str, Value]) -> Value:
    if name not in table:
        raise unknown_name(option, name, table)
    return table[name]


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
