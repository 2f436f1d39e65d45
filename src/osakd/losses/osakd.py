r"""The loss of online self-acquired knowledge distillation: cross-entropy plus a pull towards the soft labels.

.. math:: L = \mathrm{CE}(p, y) + \lambda \, D(p, q)

with p the softmax of the network's outputs, y the class and q the soft label from the sample's nearest neighbours. The
paper leaves the balance, the divergence, the space and the neighbours' pool open; each is an option here.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (5).
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from osakd.errors import InputError
from osakd.labels.average import LabelAverage
from osakd.labels.memory import OutputMemory
from osakd.labels.posterior import WEIGHTS, Weights, weighted_posterior
from osakd.losses.terms import (
    DIVERGENCES,
    Balance,
    Divergence,
    LossParts,
    at_least_float32,
    check_weight,
    look_up,
    loss_parts,
)

Space = Literal["softmax", "logits"]


class OSAKDLoss(nn.Module):
    r"""Cross-entropy plus online self-acquired distillation, in place of ``nn.CrossEntropyLoss`` in any loop.

    Args:
        num_classes: number of classes, at least 2.
        k: number of neighbours, at least 1 and at most the batch size (batch size - 1 without ``include_self``).
        soft_weight: the weight :math:`\lambda` of the distillation term, see ``osakd_loss``.
        space: outputs among which neighbours are searched: ``"softmax"`` or ``"logits"``.
        divergence: see ``osakd_loss``.
        balance: see ``osakd_loss``.
        include_self: count the sample itself among its k neighbours. The default was best by validation
            (docs/reproduction.md).
        memory: search neighbours among the latest outputs of the whole training set instead of the mini-batch. Every
            call in training mode then needs the samples' ``index``.
        pseudo_count: pseudo-count added to every class (Dirichlet :math:`\alpha`), at least 0.
        weights: ``"uniform"`` counts every neighbour once, as in the paper; ``"distance"`` weights them by
            ``nearness``.
        average: average each sample's soft labels over the epochs; needs the ``index`` as a memory does.

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
        include_self: bool = True,
        memory: OutputMemory | None = None,
        pseudo_count: float = 0.0,
        weights: Weights = "uniform",
        average: LabelAverage | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise InputError(f"`num_classes` must be at least 2, got {num_classes}.")
        if k < 1:
            raise InputError(f"`k` must be at least 1, got {k}.")
        if pseudo_count < 0:
            raise InputError(f"`pseudo_count` must be at least 0, got {pseudo_count}.")
        check_weight(soft_weight, balance)
        look_up("divergence", divergence, DIVERGENCES)
        look_up("space", space, SPACES)
        look_up("weights", weights, WEIGHTS)
        for kept in (memory and memory.outputs, average and average.labels):
            if kept is not None and kept.shape[1] != num_classes:
                raise InputError(f"The memory is for {kept.shape[1]} classes, but `num_classes` is {num_classes}.")
        self.num_classes, self.k, self.soft_weight = num_classes, k, soft_weight
        self.space: Space = space
        self.divergence: Divergence = divergence
        self.balance: Balance = balance
        self.include_self, self.memory = include_self, memory
        self.pseudo_count, self.average = pseudo_count, average
        self.weights: Weights = weights
        self._started = False

    def forward(
        self, logits: Float[Tensor, "n c"], target: Int[Tensor, " n"], index: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of a batch.

        Args:
            logits: outputs of the network before the softmax.
            target: class index of each sample, 0 to c - 1.
            index: index of each sample in the training set; needed with a memory (``WithIndex`` gives it). Leave it
                out in eval mode for samples that are not in the training set.

        Returns:
            The loss, a scalar.
        """
        return self.terms(logits, target, index).total

    def terms(
        self, logits: Float[Tensor, "n c"], target: Int[Tensor, " n"], index: Int[Tensor, " n"] | None = None
    ) -> LossParts:
        """The loss of a batch with all its parts by name, for logging."""
        soft_labels = self.soft_labels(logits, target, index)
        options = {"soft_weight": self.soft_weight, "divergence": self.divergence, "balance": self.balance}
        return loss_parts(logits, target, soft_labels, **options)

    @torch.no_grad()
    def soft_labels(
        self, logits: Float[Tensor, "n c"], target: Int[Tensor, " n"], index: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n c"]:
        """The soft labels of a batch, at least float32; a sample without any neighbour keeps its hard label."""
        self._check_batch(logits, index)
        with torch.autocast(logits.device.type, enabled=False):
            return self._soft_labels(logits, target, index)

    def _soft_labels(self, logits: Tensor, target: Tensor, index: Tensor | None) -> Tensor:
        points = SPACES[self.space](at_least_float32(logits))
        if self.memory is None:
            rows = torch.arange(len(points), device=points.device)
            references, reference_target, valid, norms = points, target, None, None
        else:
            if index is not None:
                self.memory.write(index, points, target)
            rows = index
            references, norms = self.memory.outputs, self.memory.norms
            reference_target, valid = self.memory.target, self.memory.valid
        soft_labels, has_neighbours = weighted_posterior(
            points,
            references,
            reference_target,
            num_classes=self.num_classes,
            k=min(self.k, len(references)),
            exclude=None if self.include_self else rows,
            valid=valid,
            norms=norms,
            weights=self.weights,
            pseudo_count=self.pseudo_count,
        )
        if has_neighbours is not None:
            own = target[:, None] == torch.arange(self.num_classes, device=target.device)
            soft_labels = torch.where(has_neighbours, soft_labels, own.to(soft_labels.dtype))
        return soft_labels if self.average is None or index is None else self.average(index, soft_labels)

    def extra_repr(self) -> str:
        """The settings, for ``print``."""
        return (
            f"num_classes={self.num_classes}, k={self.k}, soft_weight={self.soft_weight}, space={self.space!r}, "
            f"divergence={self.divergence!r}, balance={self.balance!r}, include_self={self.include_self}, "
            f"pseudo_count={self.pseudo_count}, weights={self.weights!r}"
        )

    def _check_batch(self, logits: Tensor, index: Tensor | None) -> None:
        if logits.ndim != 2:
            raise InputError(f"`logits` must be of shape [n, {self.num_classes}], got {list(logits.shape)}.")
        if logits.shape[1] != self.num_classes:
            raise InputError(
                f"The network gives {logits.shape[1]} outputs, but `num_classes` is {self.num_classes}: "
                "make them equal."
            )
        if (self.memory is not None or self.average is not None) and index is None and self.training:
            raise InputError(
                "A loss with a memory needs the samples' `index` in training: wrap the dataset in `WithIndex` and "
                "call loss(logits, target, index)."
            )
        # The first batch decides: a shorter one at the end of an epoch uses what neighbours it has.
        if self.training and not self._started:
            largest = len(logits) if self.include_self else len(logits) - 1
            if self.k > largest:
                kind = "samples" if self.include_self else "other samples"
                raise InputError(
                    f"`k` must be between 1 and {largest} ({largest} {kind} in the batch), got {self.k}: take a "
                    "smaller k or a larger batch."
                )
            self._started = True


SPACES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(1),
    "logits": lambda logits: logits,
}
