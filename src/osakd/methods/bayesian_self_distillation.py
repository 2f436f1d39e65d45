r"""Bayesian self-distillation: each sample gathers the network's predictions for it as evidence for the classes.

.. math:: a \leftarrow \gamma \, a + p, \qquad L = \mathrm{CE}(p, a / \sum_j a_j)

with :math:`a = a_0 [j = y]` at first.

Reference:
    Adelöw, Gamba and Maki, "Bayesian Self-Distillation for Image Classification", arXiv 2512.24162, 2025.
"""

import torch
from torch import Tensor, nn

from osakd.labels.samples import as_probabilities, at_least_float32
from osakd.methods.base import Batch, BuildContext, LossTerms, Method
from osakd.methods.settings.predictions import BayesianSelfDistillationSettings


class BayesianSelfDistillation(Method):
    """One network that learns from its predictions, as evidence beside the class."""

    settings: BayesianSelfDistillationSettings

    def __init__(self, settings: BayesianSelfDistillationSettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        self.evidence = Evidence(context.num_samples, context.num_classes, settings)

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        outputs = at_least_float32(logits)
        targets = self.evidence(batch.index, outputs.detach().softmax(1), batch.target)
        total = self.cross_entropy(outputs, targets)
        return LossTerms(total, {"total": total.detach()}, logits)


class Evidence(nn.Module):
    """The evidence for each class of every training sample, in a buffer; in eval mode it is only read."""

    counts: Tensor

    def __init__(self, num_samples: int, num_classes: int, settings: BayesianSelfDistillationSettings) -> None:
        super().__init__()
        self.settings = settings
        # Rows of zeros are of samples that were never visited: their class is known at their first visit only.
        self.register_buffer("counts", torch.zeros(num_samples, num_classes))

    @torch.no_grad()
    def forward(self, index: Tensor, votes: Tensor, target: Tensor) -> Tensor:
        """Adds votes ``[n, c]`` for the samples ``index``, of classes ``target``; the evidence as probabilities."""
        before = self.counts[index].to(votes.dtype)
        start = self.settings.prior * as_probabilities(target, votes)
        visited = before.sum(1, keepdim=True) > 0
        counts = self.settings.forgetting * torch.where(visited, before, start) + votes
        if self.training:
            # index_put_: index_copy_ and scatter_ fall back to slow loops when they are mapped over replicas.
            self.counts[index] = counts.to(self.counts.dtype)
        return counts / counts.sum(1, keepdim=True)
