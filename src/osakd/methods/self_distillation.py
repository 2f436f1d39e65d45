"""Plain training, label smoothing and OSAKD: one network, one stage, no teacher.

Reference:
    Tzelepi and Tefas, ICME 2021 (OSAKD); Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
    CVPR 2016, section 7 (label smoothing).
"""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import InputError
from osakd.losses.osakd import OSAKDLoss
from osakd.methods.base import Batch, LossTerms, Method


@final
class SelfDistillation(Method):
    """One network trained on its classes, smoothed classes, or its classes and its own neighbours' soft labels.

    Args:
        network: the network to train; it gives logits.
        criterion: the OSAKD loss; without one, training is plain.
        smoothing: label smoothing for training without a criterion, 0 (none) to below 1.

    Raises:
        InputError: smoothing out of its range, or given together with a criterion.
    """

    def __init__(self, network: nn.Module, criterion: OSAKDLoss | None = None, *, smoothing: float = 0.0) -> None:
        if not 0 <= smoothing < 1:
            raise InputError(f"`smoothing` must be at least 0 and below 1, got {smoothing}.")
        if smoothing and criterion is not None:
            raise InputError("`smoothing` goes with plain training: give either a criterion or a smoothing.")
        super().__init__()
        self.network, self.criterion, self.smoothing = network, criterion, smoothing

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        if self.criterion is None:
            hard = F.cross_entropy(logits, batch.classes, label_smoothing=self.smoothing)
            return LossTerms(hard, {"total": hard.detach()}, logits)
        terms = self.criterion.terms(logits, batch.classes, batch.index)
        parts = {name: getattr(terms, name).detach() for name in terms._fields if name != "soft_labels"}
        return LossTerms(terms.total, parts | diagnostics(terms.soft_labels, batch.classes), logits)

    def networks(self) -> dict[str, nn.Module]:
        """The one network."""
        return {"network": self.network}

    def predictors(self) -> dict[str, nn.Module]:
        """The one network."""
        return {"student": self.network}


@torch.no_grad()
def diagnostics(soft_labels: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """How much the soft labels ``[n, c]`` say, averaged over the batch.

    Returns:
        ``soft_label_mass``: probability of the true class; ``soft_label_entropy``: in nats; ``soft_label_agreement``:
        share of samples whose most probable class is the true one (of equal ones the lowest class counts).
    """
    return {
        "soft_label_mass": soft_labels.gather(1, classes[:, None]).mean(),
        "soft_label_entropy": -torch.xlogy(soft_labels, soft_labels).sum(1).mean(),
        "soft_label_agreement": (soft_labels.argmax(1) == classes).to(soft_labels.dtype).mean(),
    }
