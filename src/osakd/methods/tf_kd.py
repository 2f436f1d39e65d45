r"""Teacher-free distillation by regularisation (TF-KD): a teacher that is made by hand and always right.

.. math:: L = (1 - w) \, \mathrm{CE}(p, y) + w \, KL(u \| p), \quad u = \mathrm{softmax}(v / T)

with v[y] the teacher's probability of the true class, and the rest spread evenly over the other classes.

Reference:
    Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing Regularization", CVPR 2020, section 4.2.
"""

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.labels.targets import as_probabilities
from osakd.losses.terms import DIVERGENCES, at_least_float32
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, weighted_terms
from osakd.methods.settings.predictions import TfKDSettings


@final
class VirtualTeacher(Method):
    """One network that learns from its classes and from a virtual teacher.

    Args:
        network: the network to train and deploy.
        correct: probability that the teacher gives to the true class, between 0 and 1.
        soft_weight: weight of the divergence from the teacher, 0 to 1.
        temperature: T, above 0; it divides the teacher's probabilities before a softmax.
    """

    def __init__(self, network: nn.Module, *, correct: float, soft_weight: float, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.correct, self.soft_weight, self.temperature = correct, soft_weight, temperature

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        hard = F.cross_entropy(logits, batch.target)
        log_p = at_least_float32(logits).log_softmax(1)
        soft = DIVERGENCES["kl"](log_p, self._teacher(log_p, batch.target)).mean()
        return weighted_terms(hard, soft, 1 - self.soft_weight, self.soft_weight, logits)

    def _teacher(self, like: Tensor, target: Tensor) -> Tensor:
        """The teacher's softened predictions ``[n, c]``."""
        true = as_probabilities(target, like)
        wrong = (1 - self.correct) / (like.shape[1] - 1)
        return ((true * self.correct + (1 - true) * wrong) / self.temperature).softmax(1)


def build(settings: TfKDSettings, context: BuildContext) -> VirtualTeacher:
    """Builds ``tf-kd``."""
    return VirtualTeacher(
        context.network,
        correct=settings.correct,
        soft_weight=settings.soft_weight,
        temperature=settings.temperature,
    )
