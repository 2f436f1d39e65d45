r"""Bayesian self-distillation: each sample gathers the network's predictions for it as evidence for the classes.

.. math:: a \leftarrow \gamma \, a + p, \qquad L = \mathrm{CE}(p, a / \sum_j a_j)

with :math:`a = a_0 [j = y]` at first.

Reference:
    Adelöw, Gamba and Maki, "Bayesian Self-Distillation for Image Classification", arXiv 2512.24162, 2025.
"""

from typing import final

from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.labels.evidence import DirichletEvidence
from osakd.losses.terms import at_least_float32
from osakd.methods.base import Batch, BuildContext, LossTerms, Method
from osakd.methods.settings.predictions import BayesianSelfDistillationSettings


@final
class BayesianSelfDistillation(Method):
    """One network that learns from its own predictions, as evidence beside the class.

    Args:
        network: the network to train and deploy.
        evidence: the evidence of each training sample.
    """

    def __init__(self, network: nn.Module, evidence: DirichletEvidence) -> None:
        super().__init__()
        self.network, self.evidence = network, evidence

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        outputs = at_least_float32(logits)
        targets = self.evidence(batch.index, outputs.detach().softmax(1), batch.target)
        total = F.cross_entropy(outputs, targets)
        return LossTerms(total, {"total": total.detach()}, logits)


def build(settings: BayesianSelfDistillationSettings, context: BuildContext) -> BayesianSelfDistillation:
    """Builds ``bayesian-self-distillation``."""
    evidence = DirichletEvidence(
        context.num_samples, context.num_classes, prior=settings.prior, forgetting=settings.forgetting
    )
    return BayesianSelfDistillation(context.network, evidence)
