r"""Class-wise self-knowledge distillation (CS-KD): samples of one class learn to have similar predictions.

.. math:: L = \mathrm{CE}(p, y) + w \, T^2 \, KL(p(x')^T \| p(x)^T)

with x' another sample of the same class, here the next one in the mini-batch.

Reference:
    Yun et al., "Regularizing Class-wise Predictions via Self-knowledge Distillation", CVPR 2020.
"""

import torch
from torch import Tensor

from osakd.losses.distillation import distillation_loss
from osakd.methods.base import Batch, LossTerms, Method, weighted_terms
from osakd.methods.settings.predictions import CSKDSettings


class ClassWise(Method):
    """One network that learns from its classes and its outputs for other samples of them."""

    settings: CSKDSettings

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        partners = logits.detach()[next_of_class(batch.target)]
        soft = distillation_loss(logits, partners, temperature=self.settings.temperature)
        return weighted_terms(self.cross_entropy(logits, batch.target), soft, 1.0, self.settings.soft_weight, logits)


def next_of_class(target: Tensor) -> Tensor:
    """The row ``[n]`` of the next sample of the same class, from the last on to the first; its own if it is alone.

    Example:
        >>> next_of_class(torch.tensor([0, 1, 0, 2, 0])).tolist()
        [2, 1, 4, 3, 0]
    """
    rows = torch.arange(len(target), device=target.device)
    # Steps from a sample on to each other one, and once around to itself.
    steps = (rows - rows[:, None] - 1) % len(target)
    return torch.where(target == target[:, None], steps, len(target)).argmin(1)
