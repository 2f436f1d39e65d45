"""Plain training, label smoothing, OSAKD and its controls: one network, one stage, no teacher.

Reference:
    Tzelepi and Tefas, ICME 2021 (OSAKD); Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
    CVPR 2016, section 7 (label smoothing).
"""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import InputError
from osakd.labels.average import LabelAverage
from osakd.labels.memory import OutputMemory
from osakd.labels.posterior import Posterior, Weights
from osakd.labels.reliability import Reliability
from osakd.losses.native import native_loss
from osakd.losses.osakd import OSAKDLoss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method
from osakd.methods.settings.neighbours import (
    AveragedSettings,
    NeighbourSettings,
    OSAKDSettings,
    PoolSettings,
    ReliabilitySettings,
    ShuffledSettings,
    UniformSettings,
    WeightedSettings,
)
from osakd.methods.settings.plain import LabelSmoothingSettings, PlainSettings

Find = Callable[[OSAKDLoss, Tensor, Batch], Posterior]


@final
class SelfDistillation(Method):
    """One network trained on its classes, smoothed classes, or its classes and its own neighbours' soft labels.

    Args:
        network: the network to train, which returns logits.
        criterion: the OSAKD loss; None for cross-entropy alone.
        smoothing: label smoothing of the cross-entropy without a criterion, 0 (none) to below 1.
        find: gives the soft labels of a batch; for the controls something else than what the neighbours say.

    Raises:
        InputError: smoothing outside its range, or together with a criterion.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: OSAKDLoss | None = None,
        *,
        smoothing: float = 0.0,
        find: Find | None = None,
    ) -> None:
        if not 0 <= smoothing < 1:
            raise InputError(f"`smoothing` must be at least 0 and below 1, got {smoothing}.")
        if smoothing and criterion is not None:
            raise InputError("`smoothing` goes with plain training: give either a criterion or a smoothing.")
        super().__init__()
        self.network, self.criterion, self.smoothing = network, criterion, smoothing
        self.find = find or neighbours_of

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        if self.criterion is None:
            hard = F.cross_entropy(logits, batch.target, label_smoothing=self.smoothing)
            return LossTerms(hard, {"total": hard.detach()}, logits)
        if self.find is neighbours_of and (native := native_loss(self.criterion, logits, batch.target)) is not None:
            return LossTerms(native.total, native.parts, logits)
        posterior = self.find(self.criterion, logits, batch)
        terms = self.criterion.terms_from(posterior, logits, batch.target, batch.index)
        parts = {name: getattr(terms, name).detach() for name in terms._fields if name != "soft_labels"}
        parts |= diagnostics(terms.soft_labels, batch.target)
        return LossTerms(terms.total, {**parts, "soft_label_reliability": posterior.reliability()}, logits)


def neighbours_of(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Posterior:
    """What OSAKD's neighbours say."""
    return criterion.posterior(logits, batch.target, batch.index)


def uniform_labels(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Posterior:
    """Labels ``[n, c]`` with OSAKD's mean true-class mass at this step, and the rest spread over the other classes.

    They smooth as strongly as OSAKD's labels but do not use the neighbours' classes.
    """
    posterior = neighbours_of(criterion, logits, batch)
    labels = posterior.soft_labels
    mass = labels.gather(1, batch.target[:, None]).mean()
    true = batch.target[:, None] == torch.arange(labels.shape[1], device=labels.device)
    return posterior._replace(soft_labels=torch.where(true, mass, (1 - mass) / (labels.shape[1] - 1)))


def shuffled_labels(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Posterior:
    """OSAKD's labels ``[n, c]`` with the classes of the batch permuted: each sample votes with its predecessor's class.

    A batch is in random order, so this is a random permutation. The reliability is that of OSAKD's labels, so that both
    have the same weight.
    """
    others = criterion.posterior(logits, batch.target.roll(1), batch.index)
    return neighbours_of(criterion, logits, batch)._replace(soft_labels=others.soft_labels)


@torch.no_grad()
def diagnostics(soft_labels: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Diagnostics of the soft labels ``[n, c]``, averaged over the batch.

    Returns:
        ``soft_label_mass``: probability of the true class; ``soft_label_entropy``: in nats; ``soft_label_agreement``:
        share of samples whose most probable class is the true one (of equal ones the lowest class counts).
    """
    return {
        "soft_label_mass": soft_labels.gather(1, target[:, None]).mean(),
        "soft_label_entropy": -torch.xlogy(soft_labels, soft_labels).sum(1).mean(),
        "soft_label_agreement": (soft_labels.argmax(1) == target).to(soft_labels.dtype).mean(),
    }


def build_plain(settings: PlainSettings, context: BuildContext) -> SelfDistillation:  # noqa: ARG001 - a builder
    """Builds ``plain``."""
    return SelfDistillation(context.network)


def build_label_smoothing(settings: LabelSmoothingSettings, context: BuildContext) -> SelfDistillation:
    """Builds ``label-smoothing``."""
    return SelfDistillation(context.network, smoothing=settings.smoothing)


def build_osakd(settings: OSAKDSettings, context: BuildContext) -> SelfDistillation:
    """Builds ``osakd``."""
    memory = _memory(settings, context)
    criterion = _weighted_criterion(settings, context, memory=memory)
    return SelfDistillation(context.network, criterion)


def build_uniform(settings: UniformSettings, context: BuildContext) -> SelfDistillation:
    """Builds the control ``uniform-smoothing``."""
    memory = _memory(settings, context)
    criterion = _weighted_criterion(settings, context, memory=memory)
    return SelfDistillation(context.network, criterion, find=uniform_labels)


def build_shuffled(settings: ShuffledSettings, context: BuildContext) -> SelfDistillation:
    """Builds the control ``shuffled-neighbours``."""
    criterion = _weighted_criterion(settings, context)
    return SelfDistillation(context.network, criterion, find=shuffled_labels)


def build_averaged(settings: AveragedSettings, context: BuildContext) -> SelfDistillation:
    """Builds ``averaged-neighbours``."""
    return SelfDistillation(context.network, _averaged_criterion(settings, context, weights="uniform"))


def build_weighted(settings: WeightedSettings, context: BuildContext) -> SelfDistillation:
    """Builds ``weighted-neighbours``."""
    return SelfDistillation(context.network, _averaged_criterion(settings, context, weights="distance"))


def _averaged_criterion(settings: AveragedSettings, context: BuildContext, *, weights: Weights) -> OSAKDLoss:
    samples, momentum = context.num_samples, settings.momentum
    average = LabelAverage(samples, context.num_classes, momentum=momentum) if momentum else None
    own = {"memory": _memory(settings, context), "average": average}
    return _criterion(settings, context, weights=weights, pseudo_count=settings.pseudo_count, **own)


def _weighted_criterion(settings: ReliabilitySettings, context: BuildContext, **own: Any) -> OSAKDLoss:
    reliability = Reliability(power=settings.reliability_power) if settings.reliability else False
    own |= {"pseudo_count": settings.pseudo_count, "label_smoothing": settings.label_smoothing}
    return _criterion(settings, context, reliability=reliability, **own)


def _criterion(
    settings: NeighbourSettings, context: BuildContext, *, reliability: Reliability | bool = False, **own: Any
) -> OSAKDLoss:
    """The loss with what all methods with neighbours set, and with what one of them sets alone."""
    if settings.soft_weight is None:
        raise InputError("`soft_weight` is open: give it, or resolve the settings first.")
    return OSAKDLoss(
        context.num_classes,
        settings.k,
        settings.soft_weight,
        space=settings.space,
        divergence=settings.divergence,
        balance=settings.balance,
        include_self=settings.include_self,
        reliability=reliability,
        ignore_index=None,  # every label of a data set is a class
        gather=False,  # a method sees the whole batch, also where several processes train it
        **own,
    )


def _memory(settings: PoolSettings, context: BuildContext) -> OutputMemory | None:
    return OutputMemory(context.num_samples, context.num_classes) if settings.pool == "memory" else None
