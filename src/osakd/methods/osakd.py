"""OSAKD and its controls: one network that learns from its classes and from soft labels of their neighbours.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021.
"""

import torch
from torch import Tensor

from osakd.errors import InputError
from osakd.labels.memory import OutputMemory
from osakd.labels.posterior import Posterior
from osakd.labels.reliability import PSEUDO_COUNTS, Reliability
from osakd.losses.osakd import MeasuredLoss, OSAKDLoss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method
from osakd.methods.settings.neighbours import NeighbourSettings, PoolSettings


class OSAKD(Method):
    """One network trained by ``OSAKDLoss``, its ``criterion``."""

    settings: NeighbourSettings

    def __init__(self, settings: NeighbourSettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        if settings.soft_weight is None:
            raise InputError("`soft_weight` is open: give it, or resolve the settings first.")
        best = settings.reliability_scoring == "best"
        scored_with = PSEUDO_COUNTS if best else [min(0.1, 1 / context.num_classes)]
        weighted = Reliability(power=settings.reliability_power, pseudo_counts=scored_with)
        pool, queue_size = "batch", 1
        if isinstance(settings, PoolSettings):
            pool, queue_size = settings.pool, settings.queue_size
        self.criterion = OSAKDLoss(
            context.num_classes,
            settings.k,
            settings.soft_weight,
            space=settings.space,
            divergence=settings.divergence,
            balance=settings.balance,
            include_self=settings.include_self,
            pool="queue" if pool == "queue" else "batch",
            queue_size=queue_size,
            memory=OutputMemory(context.num_samples, context.num_classes) if pool == "memory" else None,
            pseudo_count=settings.pseudo_count,
            reliability=settings.reliability and weighted,
            weight=context.class_weights,
            label_smoothing=settings.label_smoothing,
            ignore_index=None,  # every label of a data set is a class
            gather=False,  # a run is of one process, even where others are joined
        )

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        loss = self._loss(logits, batch)
        return LossTerms(loss.total, loss.figures, logits)

    def _loss(self, logits: Tensor, batch: Batch) -> MeasuredLoss:
        return self.criterion.measured(logits, batch.target, batch.index)


class UniformSmoothing(OSAKD):
    """The control whose labels smooth as strongly as OSAKD's but do not use the neighbours' classes."""

    def _loss(self, logits: Tensor, batch: Batch) -> MeasuredLoss:
        return self.criterion.measured_from(uniform_labels(self.criterion.posterior(logits, batch.target, batch.index)))


class ShuffledNeighbours(OSAKD):
    """The control whose labels are those of neighbours with other classes.

    The classes of the batch are permuted: each sample votes with its predecessor's class. A batch is in random order,
    so this is a random permutation. The reliability is that of OSAKD's labels, so that both have the same weight.
    """

    def _loss(self, logits: Tensor, batch: Batch) -> MeasuredLoss:
        shuffled = self.criterion.posterior(logits, batch.target.roll(1)).soft_labels
        posterior = self.criterion.posterior(logits, batch.target)
        return self.criterion.measured_from(posterior._replace(soft_labels=shuffled))


def uniform_labels(posterior: Posterior) -> Posterior:
    """The posterior with labels that all have its mean mass of the true class, and the rest spread over the others."""
    labels, target = posterior.soft_labels, posterior.target
    mass = labels.gather(1, target[:, None]).mean()
    true = target[:, None] == torch.arange(labels.shape[1], device=labels.device)
    return posterior._replace(soft_labels=torch.where(true, mass, (1 - mass) / (labels.shape[1] - 1)))
