r"""Batch knowledge ensembling (BAKE): similar samples of a mini-batch teach each other.

.. math:: L = \mathrm{CE}(p, y) + w \, T^2 \, KL(Q \| p^T), \quad Q = (1 - \omega) (I - \omega A)^{-1} P^T

where the rows of A are the softmax of the cosine similarities to the other samples' features before the classifier, and
those of :math:`P^T` the predictions. Q is the limit of propagating predictions along A again and again.

Reference:
    Ge et al., "Self-distillation with Batch Knowledge Ensembling Improves ImageNet Classification", arXiv 2104.13298,
    2021.
"""

from math import ceil, log, log2

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.labels.samples import at_least_float32
from osakd.losses.distillation import distillation_loss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, weighted_terms
from osakd.methods.settings.predictions import BAKESettings
from osakd.models.branches import before_classifier, run


class BatchEnsembling(Method):
    """One network that learns from its classes and from the predictions of its mini-batch.

    Its last child must be a linear classifier, see ``models.branches``.
    """

    settings: BAKESettings

    def __init__(self, settings: BAKESettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        self.features = before_classifier(context.network, context.input_shape)

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        features, logits = self._outputs(batch.images)
        with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
            outputs = at_least_float32(logits) / self.settings.temperature
            propagated = propagate(at_least_float32(features), outputs.softmax(1), self.settings.propagation)
            targets = self.settings.temperature * propagated.clamp(min=torch.finfo(propagated.dtype).tiny).log()
        soft = distillation_loss(logits, targets, temperature=self.settings.temperature)
        return weighted_terms(self.cross_entropy(logits, batch.target), soft, 1.0, self.settings.soft_weight, logits)

    def _outputs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The features before the classifier, and the logits."""
        features = run(self.network, images, until=self.features)
        return features, run(self.network, features, after=self.features)


def propagate(features: Tensor, predictions: Tensor, propagation: float) -> Tensor:
    """The predictions ``[n, c]`` after they were propagated without end along the similarity of features ``[n, d]``.

    The inverse is summed as a series, whose length doubles at each step: a solver would make the host wait on a GPU.
    """
    if len(features) == 1:  # there are no other samples
        return predictions
    directions = F.normalize(features)
    itself = torch.eye(len(features), dtype=features.dtype, device=features.device)
    similarity = (directions @ directions.T).masked_fill(itself.bool(), -torch.inf)
    reach, total = propagation * similarity.softmax(1), itself
    for _ in range(ceil(log2(max(2, log(1e-17) / log(propagation)))) if propagation else 0):
        total = total + reach @ total
        reach = reach @ reach
    return (1 - propagation) * total @ predictions
