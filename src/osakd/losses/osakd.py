r"""The loss of online self-acquired knowledge distillation: cross-entropy plus a pull towards the soft labels.

.. math:: L = \mathrm{CE}(p, y) + \lambda \, D(p, q)

with p the softmax of the network's outputs, y the class and q the soft label from the sample's nearest neighbours. The
paper leaves the balance, the divergence, the space and the neighbours' pool open; each is an option here.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (5).
"""

from collections.abc import Callable

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn

from osakd.errors import InputError
from osakd.labels.average import LabelAverage
from osakd.labels.ceiling import usual_pseudo_count
from osakd.labels.evidence import DirichletEvidence
from osakd.labels.kept import KeptPerSample
from osakd.labels.memory import OutputMemory
from osakd.labels.posterior import WEIGHTS, Posterior, Weights, neighbour_votes
from osakd.labels.ranks import are_several, join
from osakd.labels.reliability import Reliability
from osakd.labels.targets import as_probabilities
from osakd.losses.inputs import as_reliability, as_samples, check_gathered, check_k, check_kept, check_numbers
from osakd.losses.pool import SPACES, Space, mean_total, pool_of
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


class OSAKDLoss(nn.Module):
    r"""Cross-entropy plus online self-acquired distillation, in place of ``nn.CrossEntropyLoss`` in any loop.

    Args:
        num_classes: number of classes, at least 2.
        k: number of neighbours, at least 1 and at most the size of the first batch, or of the memory (one less without
            ``include_self``).
        soft_weight: the weight :math:`\lambda` of the distillation term, see ``osakd_loss``.
        space: outputs among which neighbours are searched: ``"softmax"`` or ``"logits"``.
        divergence: see ``osakd_loss``.
        balance: see ``osakd_loss``.
        include_self: count the sample itself among its k neighbours.
        memory: search neighbours among the latest outputs of the whole training set, not in the mini-batch. Every call
            in training mode then needs the samples' ``index``.
        pseudo_count: pseudo-count added to every class (Dirichlet :math:`\alpha`), at least 0. None: 2.5 / classes.
        weights: ``"uniform"`` counts every neighbour once, as in the paper; ``"distance"`` weights them by
            ``nearness``.
        average: average each sample's soft labels over the epochs; needs the ``index`` as a memory does.
        reliability: weight the distillation term by how much the neighbours know of the classes by now, 0 to 1: True,
            or a ``Reliability`` with other settings. With a convex balance the cross-entropy gets the rest. False: the
            paper's constant weight.
        evidence: gather each sample's soft labels as evidence, from its own class on, and learn from its expectation
            alone, without ``soft_weight`` and ``balance``; ``reliability`` weights the votes. Needs the ``index`` too.
        weight: weight of each class, as in ``nn.CrossEntropyLoss``, see ``osakd_loss``.
        ignore_index: class index of samples to leave out, as in ``nn.CrossEntropyLoss``: without gradient, nobody's
            neighbours, not in the mean. None: there are none, and values are not checked, which saves time.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, as in ``nn.CrossEntropyLoss``.
        label_smoothing: label smoothing of the cross-entropy, from 0 to 1.
        gather: where ``torch.distributed`` runs on several ranks, join their batches in training mode, see below.
        group: process group whose ranks are joined; None for the default one. A loss with a group cannot be pickled.

    In training mode the batches of all ranks are one batch: its samples are neighbours, and every rank writes all of
    them into memories, averages, evidence and reliability. Every rank must take part in every call, with an empty batch
    if it has no samples. Samples with one ``index`` are one sample. A mean is that over all samples once it is averaged
    over the ranks, as ``DistributedDataParallel`` averages gradients; other reductions are of the rank's own samples.
    In eval mode nothing is joined, so one rank alone may validate.

    Attributes:
        observe: None, or a function that is called with the ``LossParts`` and the targets of every batch, for logging.

    Raises:
        InputError: a value out of its range, at construction or at a call; a missing ``index``. Values of tensors are
            checked on the CPU in eager mode only; under ``torch.compile`` and on a GPU a class index out of range is
            undefined.

    Example:
        >>> loss = OSAKDLoss(num_classes=3, k=2)
        >>> logits = torch.randn(8, 3, requires_grad=True)
        >>> loss(logits, torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])).backward()
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
        pseudo_count: float | None = None,
        weights: Weights = "uniform",
        average: LabelAverage | None = None,
        reliability: Reliability | bool = True,
        evidence: DirichletEvidence | None = None,
        weight: Float[Tensor, " c"] | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
        gather: bool = True,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        check_numbers(num_classes, k, pseudo_count, label_smoothing, weight)
        check_gathered(num_classes, memory, average, evidence, label_smoothing)
        check_weight(soft_weight, balance)
        look_up("divergence", divergence, DIVERGENCES)
        look_up("space", space, SPACES)
        look_up("weights", weights, WEIGHTS)
        look_up("reduction", reduction, dict.fromkeys(REDUCTIONS))
        self.num_classes, self.k, self.soft_weight = int(num_classes), int(k), soft_weight
        self.space: Space = space
        self.divergence: Divergence = divergence
        self.balance: Balance = balance
        self.include_self, self.memory, self.ignore_index = include_self, memory, ignore_index
        self.pseudo_count = usual_pseudo_count(num_classes) if pseudo_count is None else pseudo_count
        self.reliability = as_reliability(reliability, num_classes, k, include_self=include_self)
        self.average, self.evidence = average, evidence
        self.weights: Weights = weights
        self.register_buffer("weight", weight)
        self.reduction: Reduction = reduction
        self.label_smoothing, self.gather, self.group = label_smoothing, gather, group
        self.observe: Callable[[LossParts, Tensor], None] | None = None
        self._started = False
        self.register_load_state_dict_post_hook(_continue)

    @property
    def kept(self) -> list[KeptPerSample]:
        """What it keeps of every training sample: those of memory, average and evidence that it has."""
        return [kept for kept in (self.memory, self.average, self.evidence) if kept is not None]

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
        return self.terms_from(self.posterior(logits, target, index), logits, target, index)

    def soft_labels(
        self,
        logits: Float[Tensor, "n c *d"],
        target: Int[Tensor, "n *d"] | Float[Tensor, "n c *d"],
        index: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "m c"]:
        """The soft labels of a batch, at least float32; without any neighbour the hard label.

        Look in eval mode: in training mode the running values take the batch up, as in a call of the loss.
        """
        return self._learned(self.posterior(logits, target, index), index)[0]

    @torch.no_grad()
    def posterior(
        self,
        logits: Float[Tensor, "n c *d"],
        target: Int[Tensor, "n *d"] | Float[Tensor, "n c *d"],
        index: Int[Tensor, " n"] | None = None,
    ) -> Posterior:
        """What the neighbours of this batch say, before it is averaged or gathered over the epochs."""
        samples, target = as_samples(logits, target, index, self.num_classes)
        if logits.ndim > 2 and not self.kept:
            index = None  # of images, not of their positions
        self._check_batch(samples, target.is_floating_point(), index)
        with torch.autocast(logits.device.type, enabled=False):
            return self._posterior(samples, target, index)

    def terms_from(
        self,
        posterior: Posterior,
        logits: Float[Tensor, "n c *d"],
        target: Int[Tensor, "n *d"] | Float[Tensor, "n c *d"],
        index: Int[Tensor, " n"] | None = None,
    ) -> LossParts:
        """As ``terms``, with the soft labels of a given posterior; the running values are updated in training mode."""
        logits, target = as_samples(logits, target, index, self.num_classes)
        soft_labels, reliability = self._learned(posterior, index)
        alone = self.evidence is not None
        parts = loss_parts(
            logits,
            target,
            soft_labels,
            soft_weight=1.0 if alone else self.soft_weight,
            divergence=self.divergence,
            balance="convex" if alone else self.balance,
            reliability=reliability,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            total=mean_total(posterior.everyone, self.weight, soft_labels.dtype),
        )
        if self.observe is not None:
            self.observe(parts, target)
        return parts

    @torch.no_grad()
    def _learned(self, posterior: Posterior, index: Tensor | None) -> tuple[Tensor, Tensor | float]:
        """The soft labels to learn from, and the factor of their weight."""
        soft_labels, _, target, used, everyone = posterior
        with torch.autocast(soft_labels.device.type, enabled=False):
            reliability = 1.0 if self.reliability is None else self.reliability(posterior.scores())
            if self.average is self.evidence is None:
                return soft_labels, reliability
            if everyone is not None:
                (soft_labels,), index = everyone.ranks.gather(soft_labels), everyone.index
                target, used = everyone.target, everyone.used
            if self.average is not None and index is not None:
                soft_labels = self.average(index, soft_labels, used)
            if self.evidence is not None:
                votes = (reliability * soft_labels).to(soft_labels.dtype)
                soft_labels, reliability = self.evidence(index, votes, target, used), 1.0
            return soft_labels if everyone is None else soft_labels[everyone.rows], reliability

    def _posterior(self, logits: Tensor, target: Tensor, index: Tensor | None) -> Posterior:
        points, everyone = SPACES[self.space](at_least_float32(logits)), None
        if self.training and self.gather and are_several(self.group):
            everyone = join(points, target, index, self.group)
        if self.training and not self._started:
            # The first batch decides: a shorter one at the end of an epoch uses the neighbours that it has.
            batch = points if everyone is None else everyone.points
            check_k(self.k, len(batch), self.memory and self.memory.num_samples, include_self=self.include_self)
            self._started = True
        pool = pool_of(points, target, index, self.num_classes, self.ignore_index, self.memory, everyone)
        votes = neighbour_votes(
            pool.queries,
            pool.references,
            pool.reference_target,
            num_classes=self.num_classes,
            k=min(self.k, len(pool.references)),
            exclude=None if self.include_self else pool.rows,
            own=pool.rows if self.include_self else None,
            valid=pool.valid,
            norms=pool.norms,
            weights=self.weights,
        )
        soft_labels = votes.shares(self.pseudo_count)
        if votes.present is not None:
            soft_labels = torch.where(votes.present, soft_labels, as_probabilities(pool.target, soft_labels))
        return Posterior(soft_labels, votes, pool.target, pool.used, pool.everyone)

    def extra_repr(self) -> str:
        """The settings, for ``print``."""
        return (
            f"num_classes={self.num_classes}, k={self.k}, soft_weight={self.soft_weight}, space={self.space!r}, "
            f"divergence={self.divergence!r}, balance={self.balance!r}, include_self={self.include_self}, "
            f"pseudo_count={self.pseudo_count}, weights={self.weights!r}"
        )

    def _check_batch(self, logits: Tensor, probabilities: bool, index: Tensor | None) -> None:
        if probabilities and self.memory is not None and index is not None:
            raise InputError("A memory holds class indices, but `target` has class probabilities: give indices.")
        kept = [one.num_samples for one in self.kept]
        check_kept(kept, index, len(logits), training=self.training, values=self.ignore_index is not None)


def _continue(loss: nn.Module, _: object) -> None:
    """A loss whose state was loaded goes on: its next batch may be the short one at the end of an epoch."""
    loss._started = True  # type: ignore[assignment]
