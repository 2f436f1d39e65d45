r"""The loss of online self-acquired knowledge distillation: cross-entropy plus a pull towards the soft labels.

.. math:: L = \mathrm{CE}(p, y) + \lambda \, D(p, q)

with p the softmax of the network's outputs, y the class and q the soft label from the sample's nearest neighbours. The
paper leaves the balance, the divergence, the space and the neighbours' pool open; each is an option here.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (5).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn

from osakd.checks import choice, number, whole
from osakd.errors import InputError
from osakd.labels.ceiling import usual_pseudo_count
from osakd.labels.memory import OutputMemory
from osakd.labels.posterior import Posterior, count_votes, pool_of
from osakd.labels.queue import OutputQueue
from osakd.labels.ranks import are_several, join
from osakd.labels.reliability import Reliability
from osakd.labels.samples import as_probabilities, as_samples, without_ignored
from osakd.losses.terms import (
    Balance,
    Divergence,
    LossParts,
    Reduction,
    check_options,
    count_of,
    loss_parts,
    soft_share,
)
from osakd.losses.watch import Watch

Space = Literal["softmax", "logits"]
_LARGEST = torch.finfo(torch.float32).max
SPACES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(1),
    # Squares of float32's largest logits are finite in float64 alone. The difference of two infinite ones would be NaN.
    "logits": lambda logits: (logits if logits.device.type == "mps" else logits.double()).clamp(-_LARGEST, _LARGEST),
}
"""The outputs among which neighbours are searched, from logits ``[n, c]``."""


class MeasuredLoss(NamedTuple):
    """The loss of a batch, with figures to log.

    Attributes:
        total: the loss, a scalar.
        figures: scalars by name, without gradient: the loss and its parts as in ``LossParts``; ``soft_label_mass``, the
            soft labels' mean probability of the true class; ``soft_label_entropy``, their mean entropy in nats;
            ``soft_label_agreement``, the share of samples whose most probable class is the true one (of equal ones the
            lowest class counts); ``soft_label_reliability``, what the neighbours of the latest batches know of the
            classes, which weights the distillation (with a constant weight: those of this batch); ``soft_share``, the
            weighted distillation's share of the loss.
    """

    total: Tensor
    figures: dict[str, Tensor]


class OSAKDLoss(nn.Module):
    r"""Cross-entropy plus online self-acquired distillation, in place of ``nn.CrossEntropyLoss`` in any loop.

    Args:
        num_classes: number of classes, at least 2.
        k: number of neighbours, at least 1 and at most the size of the first batch, memory or queue (one less without
            ``include_self``).
        soft_weight: the weight :math:`\lambda` of the distillation term, see ``osakd_loss``.
        space: outputs among which neighbours are searched: ``"softmax"``, or ``"logits"`` (in float64, whatever their
            size; on Apple's MPS, which has none, below 1e19).
        divergence: see ``osakd_loss``.
        balance: see ``osakd_loss``.
        include_self: count the sample itself among its k neighbours.
        pool: where neighbours are searched: ``"batch"``, in the mini-batch; ``"queue"``, among the latest outputs of
            any samples, the mini-batch among them. Ignored samples are not taken up.
        queue_size: samples that the queue holds, at least as many as a batch (of all ranks). Take a quarter of the
            training set at most: a larger queue holds earlier outputs of the samples themselves.
        memory: search neighbours among the latest outputs of the whole training set instead. Every call in training
            mode then needs the samples' ``index``.
        pseudo_count: pseudo-count added to every class (Dirichlet :math:`\alpha`), at least 0. None:
            2.5 / classes from ten classes on, 0 for two, in between a share of that.
        reliability: weight the distillation term by how much the neighbours know of the classes so far, 0 to 1: True,
            or a ``Reliability`` with other settings. With a convex balance the cross-entropy gets the rest. False: the
            paper's constant weight.
        weight: weight of each class, as in ``nn.CrossEntropyLoss``, see ``osakd_loss``.
        ignore_index: class index of samples to leave out, as in ``nn.CrossEntropyLoss``: they have no gradient, are not
            in the mean, and are never neighbours. None: there are none, and values are not checked, which saves time.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, as in ``nn.CrossEntropyLoss``.
        label_smoothing: label smoothing of the cross-entropy, from 0 to 1.
        gather: where ``torch.distributed`` runs on several ranks, join their batches in training mode, see below.
        group: process group whose ranks are joined; None for the default one. A loss with a group cannot be pickled.

    A call with gradients off (``torch.no_grad``, ``torch.inference_mode``) learns nothing, as one in eval mode.

    In training mode the batches of all ranks are one batch: its samples are neighbours, and every rank writes all of
    them into the memory, the queue and the reliability. Every rank must take part in every call, with an empty batch if
    it has no samples. Samples with one ``index`` are one sample. A mean is that over all samples after it is averaged
    over the ranks, as ``DistributedDataParallel`` averages gradients; other reductions are of the rank's samples alone.
    In eval mode nothing is joined, so one rank alone may validate.

    It warns once if the distillation has less than a thousandth of the loss in 1,000 steps of training in eager mode:
    the neighbours know too little of the classes then.

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
        pool: Literal["batch", "queue"] = "batch",
        queue_size: int = 2048,
        memory: OutputMemory | None = None,
        pseudo_count: float | None = None,
        reliability: Reliability | bool = True,
        weight: Float[Tensor, " c"] | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
        gather: bool = True,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        self.num_classes, self.k = whole("num_classes", num_classes, least=2), whole("k", k, least=1)
        check_options(soft_weight, divergence, balance, reduction)
        choice("space", space, SPACES)
        number("label_smoothing", label_smoothing, least=0, most=1)
        if pseudo_count is not None:
            number("pseudo_count", pseudo_count, least=0)
        if memory is not None and memory.num_classes != num_classes:
            raise InputError(f"The memory is for {memory.num_classes} classes, but `num_classes` is {num_classes}.")
        if choice("pool", pool, ("batch", "queue")) == "queue" and memory is not None:
            raise InputError("A loss searches a memory or a queue: leave out `memory`, or take pool='batch'.")
        if weight is not None and not isinstance(weight, Tensor):
            raise InputError(
                f"`weight` must be a tensor, got {type(weight).__name__}: convert it with torch.as_tensor."
            )
        if weight is not None and weight.shape != (num_classes,):
            raise InputError(f"`weight` must be of shape [{num_classes}], got {list(weight.shape)}.")
        if not isinstance(reliability, Reliability | bool):
            raise InputError(f"`reliability` must be True, False or a Reliability, got {reliability!r}.")
        if reliability is not False and k == 1 and include_self:
            raise InputError(
                "With `k` = 1 the only neighbour is the sample itself, which is never reliable: take a larger k, or "
                "include_self=False."
            )
        self.soft_weight, self.include_self = soft_weight, include_self
        self.memory, self.ignore_index = memory, ignore_index
        self.queue = OutputQueue(queue_size, num_classes) if pool == "queue" else None
        self.space: Space = space
        self.divergence: Divergence = divergence
        self.balance: Balance = balance
        self.reduction: Reduction = reduction
        self.pseudo_count = usual_pseudo_count(num_classes) if pseudo_count is None else pseudo_count
        chosen = Reliability() if reliability is True else reliability or None
        self.reliability = chosen and chosen.resize(num_classes)
        self.register_buffer("weight", weight)
        self.label_smoothing, self.gather, self.group = label_smoothing, gather, group
        self.observe: Callable[[LossParts, Tensor], None] | None = None
        self._started, self._watch = False, Watch()
        self.register_load_state_dict_post_hook(_continue)

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
        parts = self.terms_from(self.posterior(logits, target, index))
        if self.learns and self.soft_weight:
            self._watch.see(parts)
        return parts

    def soft_labels(
        self,
        logits: Float[Tensor, "n c *d"],
        target: Int[Tensor, "n *d"] | Float[Tensor, "n c *d"],
        index: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "m c"]:
        """The soft labels of a batch, at least float32; without any neighbour the hard label.

        In training mode a memory or queue takes the batch up, as in a call of the loss; the reliability does not.
        """
        return self.posterior(logits, target, index).soft_labels

    def posterior(
        self,
        logits: Float[Tensor, "n c *d"],
        target: Int[Tensor, "n *d"] | Float[Tensor, "n c *d"],
        index: Int[Tensor, " n"] | None = None,
    ) -> Posterior:
        """What the neighbours of each sample of a batch say about its class, without gradient."""
        samples, learns = as_samples(logits, target, index, self.num_classes), self.learns
        if self.memory is not None:
            values = self.ignore_index is not None
            self.memory.check_index(samples.index, samples.target, needed=learns, values=values)
        with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
            points, classes, everyone = SPACES[self.space](samples.logits), samples.target, None
            if learns and self.gather and are_several(self.group):
                # Without a memory the index of images is not one of their positions.
                index = None if logits.ndim > 2 and self.memory is None else samples.index
                everyone = join(points, classes, index, self.group)
                points, classes, index = everyone.points, everyone.target, everyone.index
            if learns and not self._started:
                self._check_k(len(points))
            used = None
            if self.ignore_index is not None:
                classes, used = without_ignored(classes, self.num_classes, self.ignore_index)
            if everyone is not None:
                everyone = replace(everyone, target=classes, used=used)
            how = {"memory": self.memory, "queue": self.queue, "everyone": everyone, "learns": learns}
            pool = pool_of(points, classes, used, index, **how, check=self.ignore_index is not None)
            if everyone is not None:
                points, classes = everyone.of_this_rank(points), everyone.of_this_rank(classes)
                used = None if used is None else everyone.of_this_rank(used)
            k = min(self.k, len(pool.outputs))
            votes = count_votes(points, pool, self.num_classes, k, include_self=self.include_self)
            soft_labels = votes.shares(self.pseudo_count).to(samples.logits.dtype)
            if votes.counted is not None:
                soft_labels = torch.where(votes.present, soft_labels, as_probabilities(classes, soft_labels))
        return Posterior(soft_labels, votes, samples, classes, used, everyone)

    def terms_from(self, posterior: Posterior) -> LossParts:
        """As ``terms``, with the soft labels of a posterior; in training mode the reliability takes it up."""
        soft_labels, everyone, samples = posterior.soft_labels, posterior.everyone, posterior.samples
        reliability, total, learns = 1.0, None, self.learns
        if self.reliability is not None:
            with torch.no_grad(), torch.autocast(soft_labels.device.type, enabled=False):
                reliability = self.reliability(posterior.scores(self.reliability.pseudo_counts) if learns else None)
        if everyone is not None:
            # The average over the ranks is then the mean over all samples.
            total = count_of(everyone.target, everyone.used, self.weight, soft_labels.dtype) / len(everyone.ranks.sizes)
        parts = loss_parts(
            samples.logits,
            samples.target,
            soft_labels,
            posterior.used,
            soft_weight=self.soft_weight,
            divergence=self.divergence,
            balance=self.balance,
            reliability=reliability,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            total=total,
        )
        if self.observe is not None:
            self.observe(parts, samples.target)
        return parts

    def measured(
        self,
        logits: Float[Tensor, "n c"],
        target: Int[Tensor, " n"] | Float[Tensor, "n c"],
        index: Int[Tensor, " n"] | None = None,
    ) -> MeasuredLoss:
        """The loss of a batch with figures to log; another implementation may compute both at once."""
        for implementation in reversed(LOSSES):
            result = implementation(self, logits, target)
            if result is not None:
                self._started |= self.learns
                return result
        return self.measured_from(self.posterior(logits, target, index))

    def measured_from(self, posterior: Posterior) -> MeasuredLoss:
        """As ``measured``, with the soft labels of a posterior."""
        terms = self.terms_from(posterior)
        figures = {name: getattr(terms, name).detach() for name in terms._fields if name != "soft_labels"}
        with torch.no_grad():
            labels, classes = terms.soft_labels, posterior.target
            figures["soft_label_mass"] = (labels * as_probabilities(classes, labels)).sum(1).mean()
            classes = classes.argmax(1) if classes.is_floating_point() else classes
            figures["soft_label_entropy"] = -torch.xlogy(labels, labels).sum(1).mean()
            figures["soft_label_agreement"] = (labels.argmax(1) == classes).to(labels.dtype).mean()
            known = posterior.reliability() if self.reliability is None else self.reliability.value
        figures["soft_label_reliability"] = known
        figures["soft_share"] = soft_share(figures["weighted_soft"], figures["total"])
        return MeasuredLoss(terms.total, figures)

    @property
    def learns(self) -> bool:
        """Whether a batch is taken up: in training mode, with gradients on."""
        return self.training and torch.is_grad_enabled()

    def extra_repr(self) -> str:
        """The settings, for ``print``."""
        return (
            f"num_classes={self.num_classes}, k={self.k}, soft_weight={self.soft_weight}, space={self.space!r}, "
            f"divergence={self.divergence!r}, balance={self.balance!r}, include_self={self.include_self}, "
            f"pseudo_count={self.pseudo_count}"
        )

    def _check_k(self, batch: int) -> None:
        """Checks that the first batch has k neighbours; a shorter one at the end of an epoch uses those that it has."""
        size, place, remedy = batch, "batch", ", a larger batch or pool='queue'"
        if self.memory is not None:
            size, place, remedy = self.memory.num_samples, "memory", ""
        elif self.queue is not None:
            size, place, remedy = self.queue.size, "queue", " or a larger `queue_size`"
        largest, kind = (size, "samples") if self.include_self else (size - 1, "other samples")
        if largest < 1:
            raise InputError(f"A batch of {batch} samples has no neighbours: give at least {2 - self.include_self}.")
        if self.k > largest:
            raise InputError(
                f"`k` must be between 1 and {largest} ({largest} {kind} in the {place}), got {self.k}: take a smaller "
                f"k{remedy}."
            )
        self._started = True


LOSSES: list[Callable[[OSAKDLoss, Tensor, Tensor], MeasuredLoss | None]] = []
"""Other implementations of ``OSAKDLoss.measured``, tried before PyTorch's operators, the latest first.

They take the loss, logits ``[n, c]`` and targets, and give None for what they do not compute.
"""


def _continue(loss: nn.Module, _: object) -> None:
    """A loss whose state was loaded goes on: its next batch may be the short one at the end of an epoch."""
    loss._started = True  # type: ignore[assignment]
