r"""Teacher-free distillation by regularisation (TF-KD): a teacher that is made by hand and always right.

.. math:: L = (1 - w) \, \mathrm{CE}(p, y) + w \, KL(u \| p), \quad u = \mathrm{softmax}(v / T)

with v[y] the teacher's probability of the true class, and the rest spread evenly over the other classes.

Reference:
    Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing Regularization", CVPR 2020, section 4.2.
"""

from torch import Tensor

from osakd.labels.samples import as_probabilities, at_least_float32
from osakd.losses.terms import DIVERGENCES
from osakd.methods.base import Batch, LossTerms, Method, weighted_terms
from osakd.methods.settings.predictions import TfKDSettings


class VirtualTeacher(Method):
    """One network that learns from its classes and from a virtual teacher."""

    settings: TfKDSettings

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        hard = self.cross_entropy(logits, batch.target)
        log_p = at_least_float32(logits).log_softmax(1)
        soft = DIVERGENCES["kl"](log_p, self._teacher(log_p, batch.target)).mean()
        return weighted_terms(hard, soft, 1 - self.settings.soft_weight, self.settings.soft_weight, logits)

    def _teacher(self, like: Tensor, target: Tensor) -> Tensor:
        """The teacher's softened predictions ``[n, c]``."""
        true = as_probabilities(target, like)
        wrong = (1 - self.settings.correct) / (like.shape[1] - 1)
        return ((true * self.settings.correct + (1 - true) * wrong) / self.settings.temperature).softmax(1)
