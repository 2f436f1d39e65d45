r"""Zipf's label smoothing: the classes that are not true share by their rank among the network's own outputs.

.. math:: L = \mathrm{CE}(p, y) + w \, KL(q \| \hat p), \quad q[j] \propto 1 / \mathrm{rank}(j)^s \text{ for } j \ne y

with :math:`\hat p` the softmax over the classes that are not true, and rank 1 for the largest output of all classes.

Reference:
    Liang et al., "Efficient One Pass Self-distillation with Zipf's Label Smoothing", ECCV 2022.
"""

import torch
from torch import Tensor

from osakd.labels.samples import at_least_float32
from osakd.losses.terms import DIVERGENCES
from osakd.methods.base import Batch, LossTerms, Method, weighted_terms
from osakd.methods.settings.predictions import ZipfSettings


class ZipfSmoothing(Method):
    """One network whose wrong classes are ordered by itself."""

    settings: ZipfSettings

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        hard = self.cross_entropy(logits, batch.target)
        outputs = at_least_float32(logits)
        true = batch.target[:, None] == torch.arange(outputs.shape[1], device=outputs.device)
        log_p = outputs.masked_fill(true, -torch.inf).log_softmax(1).masked_fill(true, 0)
        soft = DIVERGENCES["kl"](log_p, self._shares(outputs.detach(), true)).mean()
        return weighted_terms(hard, soft, 1.0, self.settings.soft_weight, logits)

    def _shares(self, outputs: Tensor, true: Tensor) -> Tensor:
        """The shares of the wrong classes ``[n, c]``; the true class has none."""
        ranks = outputs.argsort(1, descending=True).argsort(1) + 1
        shares = (ranks.to(outputs.dtype) ** -self.settings.power).masked_fill(true, 0)
        return shares / shares.sum(1, keepdim=True)
