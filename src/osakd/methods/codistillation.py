r"""Codistillation: copies of a network that are trained together, each from older weights of the others.

.. math:: L_i = \mathrm{CE}(p_i, y) + w(t) \, \mathrm{CE}(p_i, \bar q_{-i})

where the target is the mean prediction of the other copies in eval mode, with their weights at the last exchange; w is
0 during the burn-in. In the paper each copy may see its own data; here all see the same batches.

Reference:
    Anil et al., "Large scale distributed neural network training through online distillation", ICLR 2018.
"""

import copy
from itertools import chain

import torch
from torch import Tensor, nn

from osakd.losses.distillation import distillation_loss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, joint_loss, suffix
from osakd.methods.ensemble import mean_prediction
from osakd.methods.settings.networks import CodistillationSettings


class Codistillation(Method):
    """Copies of one network, with different initial weights; the first one is deployed."""

    settings: CodistillationSettings

    def __init__(self, settings: CodistillationSettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        copies = [context.build_network(None) for _ in range(settings.copies - 1)]
        self.copies = nn.ModuleList(copies)
        # The weights of the last exchange. They are in the checkpoint: the current weights do not determine them.
        self.stale = nn.ModuleList(copy.deepcopy([self.network, *copies])).requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "Codistillation":
        """Sets training or eval mode; the older weights always predict in eval mode."""
        super().train(mode)
        self.stale.eval()
        return self

    def forward(self, batch: Batch) -> LossTerms:
        """The sum of the copies' losses; the parts are named by copy, the first without a number."""
        with torch.no_grad():
            self._exchange(batch.step % self.settings.refresh == 0)
            old = [network(batch.images) for network in self.stale]
        weight = self.settings.soft_weight * (batch.progress >= self.settings.burn_in)
        each = [network(batch.images) for network in (self.network, *self.copies)]
        students = []
        for number, logits in enumerate(each):
            target = mean_prediction([other for place, other in enumerate(old) if place != number])
            soft = distillation_loss(logits, target, form="cross_entropy")
            students.append((suffix(number), self.cross_entropy(logits, batch.target), soft))
        return joint_loss(students, weight, each[0])

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs of each copy, and their average."""
        each = [network(images) for network in (self.network, *self.copies)]
        others = {f"copy{number}": logits for number, logits in enumerate(each[1:], start=2)}
        return {"student": each[0], **others, "ensemble": mean_prediction(each)}

    def _exchange(self, due: Tensor) -> None:
        """Copies the current weights and buffers if an exchange is due, without a branch for CUDA graphs."""
        for stale, network in zip(self.stale, (self.network, *self.copies), strict=True):
            before, now = (chain(module.parameters(), module.buffers()) for module in (stale, network))
            for old, value in zip(before, now, strict=True):
                old.copy_(torch.where(due, value, old))
