r"""Progressive self-knowledge distillation (PS-KD): the target moves from the class to the last epoch's prediction.

.. math:: L = \mathrm{CE}(p, (1 - w t) \, y + w t \, p_\text{last})

with t the share of the schedule that is done, and the prediction of the sample's last visit; on its first visit the
target is its class.

Reference:
    Kim et al., "Self-Knowledge Distillation with Progressive Refinement of Targets", ICCV 2021.
"""

import torch
from torch import Tensor

from osakd.labels.memory import OutputMemory
from osakd.labels.samples import as_probabilities, at_least_float32
from osakd.methods.base import Batch, BuildContext, LossTerms, Method
from osakd.methods.settings.predictions import PSKDSettings


class ProgressiveTargets(Method):
    """One network that learns from its classes and its earlier predictions."""

    settings: PSKDSettings

    def __init__(self, settings: PSKDSettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        self.memory = OutputMemory(context.num_samples, context.num_classes)

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        outputs = at_least_float32(logits)
        total = self.cross_entropy(outputs, self._targets(outputs.detach(), batch))
        return LossTerms(total, {"total": total.detach()}, logits)

    @torch.no_grad()
    def _targets(self, logits: Tensor, batch: Batch) -> Tensor:
        """The targets ``[n, c]``; the predictions of this step take the place of the earlier ones."""
        last = self.memory.outputs[batch.index].to(logits.dtype)
        weight = self.settings.soft_weight * batch.progress * self.memory.valid[batch.index][:, None]
        self.memory.write(batch.index, logits.softmax(1), batch.target)
        return ((1 - weight) * as_probabilities(batch.target, logits) + weight * last).to(logits.dtype)
