r"""Class-wise self-knowledge distillation (CS-KD): samples of one class shall have similar predictions.

.. math:: L = \mathrm{CE}(p, y) + w \, T^2 \, KL(p(x')^T \| p(x)^T)

with x' another sample of the same class, here the next one in the mini-batch.

Reference:
    Yun et al., "Regularizing Class-wise Predictions via Self-knowledge Distillation", CVPR 2020.
"""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.losses.distillation import distillation_loss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, weighted_terms
from osakd.methods.settings.predictions import CSKDSettings


@final
class ClassWise(Method):
    """One network that learns from its classes and its outputs for other samples of them.

    Args:
        network: the network to train and deploy.
        soft_weight: weight of the soft term, which contains the squared temperature.
        temperature: T, above 0.
    """

    def __init__(self, network: nn.Module, *, soft_weight: float, temperature: float) -> None:
        super().__init__()
        self.network, self.soft_weight, self.temperature = network, soft_weight, temperature

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        partners = logits.detach()[next_of_class(batch.target)]
        soft = distillation_loss(logits, partners, temperature=self.temperature)
        return weighted_terms(F.cross_entropy(logits, batch.target), soft, 1.0, self.soft_weight, logits)


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


def build(settings: CSKDSettings, context: BuildContext) -> ClassWise:
    """Builds ``cs-kd``."""
    return ClassWise(context.network, soft_weight=settings.soft_weight, temperature=settings.temperature)
