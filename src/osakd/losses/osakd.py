r"""The loss of online self-acquired knowledge distillation: cross-entropy plus a pull towards the soft labels.

.. math:: L = \mathrm{CE}(p, y) + \lambda \, D(p, q)

with p the softmax of the network's outputs, y the class and q the soft label from the sample's nearest neighbours. The
paper leaves the balance, the divergence, the space and the neighbours' pool open; each is an option here.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (5).
"""

from collections.abc import Callable
from numbers import Integral
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from osakd.errors import InputError
from osakd.labels.average import LabelAverage
from osakd.labels.memory import OutputMemory
from osakd.labels.posterior import WEIGHTS, Weights, weighted_posterior
from osakd.labels.targets import any_ignored, check_index, check_tensor
from osakd.losses.terms import (
    DIVERGENCES,
    REDUCTIONS,
    Balance,
    Divergence,
    LossParts,
    Reduction,
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
        weight: weight of each class, as in ``nn.CrossEntropyLoss``, see ``osakd_loss``.
        ignore_index: class index of samples to leave out, as in ``nn.CrossEntropyLoss``: they have no gradient, are
            nobody's neighbours, and are not in the mean. None: there are none, and values are not checked, which saves
            time.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, as in ``nn.CrossEntropyLoss``.
        label_smoothing: label smoothing of the cross-entropy, from 0 to 1.

    Raises:
        InputError: a value out of its range, at construction or at a call; a missing ``index``. Values of tensors are
            checked on the CPU in eager mode only; under ``torch.compile`` and on a GPU a class index out of range is
            undefined.

    Example:
        >>> loss = OSAKDLoss(num_classes=3, k=2)
        >>> logits = torch.randn(8, 3, requires_grad=True)
        >>> loss(logits, torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])).backward()

    Reference:
        Tzelepi and Tefas, ICME 2021, eq. (4) and (5).
    """

    weight: Tensor | None

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
        weight: Float[Tensor, " c"] | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value, least in (("num_classes", num_classes, 2), ("k", k, 1)):
            if not isinstance(value, Integral) or isinstance(value, bool):
                raise InputError(f"`{name}` must be a whole number, got {value!r}.")
            if value < least:
                raise InputError(f"`{name}` must be at least {least}, got {value}.")
        if pseudo_count < 0:
            raise InputError(f"`pseudo_count` must be at least 0, got {pseudo_count}.")
        if not 0 <= label_smoothing <= 1:
            raise InputError(f"`label_smoothing` must be between 0 and 1, got {label_smoothing}.")
        check_weight(soft_weight, balance)
        look_up("divergence", divergence, DIVERGENCES)
        look_up("space", space, SPACES)
        look_up("weights", weights, WEIGHTS)
        look_up("reduction", reduction, dict.fromkeys(REDUCTIONS))
        for kept in (memory and memory.outputs, average and average.labels):
            if kept is not None and kept.shape[1] != num_classes:
                raise InputError(f"The memory is for {kept.shape[1]} classes, but `num_classes` is {num_classes}.")
        if weight is not None and weight.shape != (num_classes,):
            raise InputError(f"`weight` must be of shape [{num_classes}], got {list(weight.shape)}.")
        self.num_classes, self.k, self.soft_weight = int(num_classes), int(k), soft_weight
        self.space: Space = space
        self.divergence: Divergence = divergence
        self.balance: Balance = balance
        self.include_self, self.memory = include_self, memory
        self.pseudo_count, self.average = pseudo_count, average
        self.weights: Weights = weights
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.reduction: Reduction = reduction
        self._started = False

    def forward(
        self,
        logits: Float[Tensor, "n c *d"],
        target: Int[Tensor, "n *d"] | Float[Tensor, "n c *d"],
        index: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "..."]:
        """The loss of a batch.

        Args:
            logits: outputs of the network before the softmax; every position of further dimensions is a sample.
            target: class index of each sample, 0 to c - 1, or class probabilities (of mixed images, for example), which
                are its vote as a neighbour.
            index: index of each sample in the training set; needed with a memory (``WithIndex`` gives it). Leave it
                out in eval mode for samples that are not in the training set.

        Returns:
            The loss, a scalar; with the reduction ``"none"`` a value per sample.
        """
        total = self.terms(logits, target, index).total
        return total.unflatten(0, (len(logits), *logits.shape[2:])) if self.reduction == "none" else total

    def terms(
        self,
        logits: Float[Tensor, "n c *d"],
        target: Int[Tensor, "n *d"] | Float[Tensor, "n c *d"],
        index: Int[Tensor, " n"] | None = None,
    ) -> LossParts:
        """The loss of a batch with all its parts by name, for logging; further dimensions are joined to the first."""
        logits, target = self._as_samples(logits, target, index)
        return self.parts(logits, target, self._soft_labels_of(logits, target, index))

    def parts(self, logits: Tensor, target: Tensor, soft_labels: Float[Tensor, "n c"]) -> LossParts:
        """The loss of a batch with given soft labels and all its parts by name."""
        return loss_parts(
            logits,
            target,
            soft_labels,
            soft_weight=self.soft_weight,
            divergence=self.divergence,
            balance=self.balance,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def soft_labels(
        self,
        logits: Float[Tensor, "n c *d"],
        target: Int[Tensor, "n *d"] | Float[Tensor, "n c *d"],
        index: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "m c"]:
        """The soft labels of a batch, at least float32; a sample without any neighbour keeps its hard label."""
        return self._soft_labels_of(*self._as_samples(logits, target, index), index)

    @torch.no_grad()
    def _soft_labels_of(self, logits: Tensor, target: Tensor, index: Tensor | None) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            return self._soft_labels(logits, target, index)

    def _soft_labels(self, logits: Tensor, target: Tensor, index: Tensor | None) -> Tensor:
        points, used = SPACES[self.space](at_least_float32(logits)), self._used(target)
        own = target if target.is_floating_point() or used is None else torch.where(used, target, 0)
        if self.memory is None:
            rows = torch.arange(len(points), device=points.device)
            references, reference_target, valid, norms = points, own, used, None
        else:
            if index is not None:
                if self.training and self.ignore_index is not None:
                    self.memory.check_classes(index, own)
                self.memory.write(index, points, own, used)
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
            if not own.is_floating_point():
                own = own[:, None] == torch.arange(self.num_classes, device=own.device)
            soft_labels = torch.where(has_neighbours, soft_labels, own.to(soft_labels.dtype))
        return soft_labels if self.average is None or index is None else self.average(index, soft_labels)

    def _used(self, target: Tensor) -> Tensor | None:
        """Which samples are not ignored; None where all are used for certain."""
        if target.is_floating_point():
            return None
        ignored = None if self.ignore_index is None else any_ignored(target, self.num_classes, self.ignore_index)
        return None if self.ignore_index is None or ignored is False else target != self.ignore_index

    def extra_repr(self) -> str:
        """The settings, for ``print``."""
        return (
            f"num_classes={self.num_classes}, k={self.k}, soft_weight={self.soft_weight}, space={self.space!r}, "
            f"divergence={self.divergence!r}, balance={self.balance!r}, include_self={self.include_self}, "
            f"pseudo_count={self.pseudo_count}, weights={self.weights!r}"
        )

    def _as_samples(self, logits: Tensor, target: Tensor, index: Tensor | None) -> tuple[Tensor, Tensor]:
        """Checked logits ``[n, c]`` and targets ``[n]`` or ``[n, c]``."""
        for name, value in (("logits", logits), ("target", target), ("index", index)):
            if name != "index" or index is not None:
                check_tensor(name, value)
        if logits.ndim < 2:
            raise InputError(f"`logits` must be of shape [n, {self.num_classes}], got {list(logits.shape)}.")
        if logits.shape[1] != self.num_classes:
            raise InputError(
                f"The network gives {logits.shape[1]} outputs, but `num_classes` is {self.num_classes}: "
                "make them equal."
            )
        probabilities = target.is_floating_point()
        expected = logits.shape if probabilities else (logits.shape[0], *logits.shape[2:])
        if target.shape != expected:
            kind = "class probabilities" if probabilities else "class indices"
            raise InputError(f"`target` must be {kind} of shape {list(expected)}, got {list(target.shape)}.")
        if logits.ndim > 2:
            logits = logits.movedim(1, -1).flatten(0, -2)
            target = target.movedim(1, -1).flatten(0, -2) if probabilities else target.flatten()
        self._check_batch(logits, probabilities, index)
        return logits, target if probabilities else target.long()

    def _check_batch(self, logits: Tensor, probabilities: bool, index: Tensor | None) -> None:
        kept = self.memory is not None or self.average is not None
        if kept and index is None and self.training:
            raise InputError(
                "A loss with a memory needs the samples' `index` in training: wrap the training set in `WithIndex` and "
                "call loss(logits, target, index); for other data call loss.eval() first."
            )
        if kept and index is not None:
            if probabilities and self.memory is not None:
                raise InputError("A memory holds class indices, but `target` has class probabilities: give indices.")
            if len(index) != len(logits):
                raise InputError(f"`index` must hold one index per sample ({len(logits)}), got {len(index)}.")
            for one in (self.memory, self.average):
                if one is not None and self.ignore_index is not None:
                    check_index(index, one.num_samples)
        # The first batch decides: a shorter one at the end of an epoch uses the neighbours that it has.
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
    # Clamped: the difference of two infinite logits would be NaN.
    "logits": lambda logits: logits.clamp(min=torch.finfo(logits.dtype).min),
}
