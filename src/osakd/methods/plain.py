"""Training with the classes alone: plain, and with label smoothing.

Reference:
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7 (label smoothing).
"""

from osakd.methods.base import Batch, LossTerms, Method
from osakd.methods.settings.plain import LabelSmoothingSettings, PlainSettings


class Plain(Method):
    """One network trained by cross-entropy."""

    settings: PlainSettings

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        total = self.cross_entropy(logits, batch.target)
        return LossTerms(total, {"total": total.detach()}, logits)


class LabelSmoothing(Method):
    """One network trained by cross-entropy with smoothed labels."""

    settings: LabelSmoothingSettings

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        total = self.cross_entropy(logits, batch.target, label_smoothing=self.settings.smoothing)
        return LossTerms(total, {"total": total.detach()}, logits)
