"""A method that osakd does not know: cross-entropy minus the entropy of the prediction (Pereyra et al., 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from osakd.methods.base import Batch, LossTerms, Method
from osakd.methods.settings.base import Settings, setting


@dataclass(frozen=True)
class ConfidencePenaltySettings(Settings):
    """Penalises confident predictions. Source: Pereyra et al., ICLR 2017."""

    single_network: ClassVar[bool] = True
    penalty: float = setting(0.1, "weight of the entropy", least=0)

    def notes(self, batch_size: int, class_counts: Sequence[int]) -> list[str]:
        return [f"Note: {len(class_counts)} classes in batches of {batch_size}, penalty {self.penalty}."]


class ConfidencePenalty(Method):
    settings: ConfidencePenaltySettings

    def forward(self, batch: Batch) -> LossTerms:
        logits = self.network(batch.images)
        log_p = logits.log_softmax(1)
        entropy: Tensor = -(log_p.exp() * log_p).sum(1).mean()
        total = F.cross_entropy(logits, batch.target) - self.settings.penalty * entropy
        return LossTerms(total, {"total": total.detach(), "entropy": entropy.detach()}, logits)
