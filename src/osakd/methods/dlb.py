r"""Self-distillation from the last mini-batch (DLB), adapted: from the sample's outputs at its last visit.

.. math:: L = \mathrm{CE}(p, y) + w \, T^2 \, KL(p_\text{last}^T \| p^T)

In the source half of a mini-batch comes again in the next one. Here every sample comes once per epoch, so its last
visit is an epoch ago; on its first visit there is no soft term.

Reference:
    Shen et al., "Self-Distillation from the Last Mini-Batch for Consistency Regularization", CVPR 2022.
"""

import torch
from torch import Tensor

from osakd.labels.memory import OutputMemory
from osakd.labels.samples import at_least_float32
from osakd.losses.distillation import distillation_loss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, weighted_terms
from osakd.methods.settings.predictions import DLBSettings


class LastVisit(Method):
    """One network that learns from its classes and its outputs at the last visit."""

    settings: DLBSettings

    def __init__(self, settings: DLBSettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        self.memory = OutputMemory(context.num_samples, context.num_classes)

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        last = self._last(at_least_float32(logits.detach()), batch)
        soft = distillation_loss(logits, last, temperature=self.settings.temperature)
        return weighted_terms(self.cross_entropy(logits, batch.target), soft, 1.0, self.settings.soft_weight, logits)

    @torch.no_grad()
    def _last(self, logits: Tensor, batch: Batch) -> Tensor:
        """The logits of the last visit, or those of now, which have no divergence; those of now take their place."""
        last, seen = self.memory.outputs[batch.index], self.memory.valid[batch.index]
        self.memory.write(batch.index, logits, batch.target)
        return torch.where(seen[:, None], last.to(logits.dtype), logits)
