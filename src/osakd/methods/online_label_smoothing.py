r"""Online label smoothing: the soft label of a class is the network's mean right prediction of the epoch before.

.. math:: L = w \, \mathrm{CE}(p, y) + (1 - w) \, \mathrm{CE}(p, S_{t - 1}[y])

where row c of :math:`S_t` is the mean of the predictions p of epoch t for samples of class c that were right.

Reference:
    Zhang et al., "Delving Deep into Label Smoothing", IEEE Transactions on Image Processing, 2021.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.labels.samples import as_probabilities, at_least_float32
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, weighted_terms
from osakd.methods.settings.predictions import OnlineLabelSmoothingSettings


class OnlineLabelSmoothing(Method):
    """One network that learns from its classes and from soft labels of the classes."""

    settings: OnlineLabelSmoothingSettings

    labels: Tensor
    sums: Tensor
    seen: Tensor

    def __init__(self, settings: OnlineLabelSmoothingSettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        self.num_samples, num_classes = context.num_samples, context.num_classes
        self.register_buffer("labels", torch.full((num_classes, num_classes), 1 / num_classes))
        self.register_buffer("sums", torch.zeros(num_classes, num_classes))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        outputs = at_least_float32(logits)
        if self.training:
            with torch.autocast(logits.device.type, enabled=False):
                self._update(outputs.detach(), batch.target)
        hard = self.cross_entropy(outputs, batch.target)
        soft = F.cross_entropy(outputs, self.labels[batch.target].to(outputs.dtype))
        return weighted_terms(hard, soft, self.settings.hard_weight, 1 - self.settings.hard_weight, logits)

    @torch.no_grad()
    def _update(self, logits: Tensor, target: Tensor) -> None:
        """Begins an epoch if this batch does not fit into the last one, and adds the right predictions.

        Without a branch, for CUDA graphs. A class without any right prediction keeps its soft label.
        """
        begins = self.seen + len(target) > self.num_samples
        total = self.sums.sum(1, keepdim=True)
        self.labels.copy_(torch.where(begins & (total > 0), self.sums / total.clamp(min=1e-12), self.labels))
        true = as_probabilities(target, logits)
        right = true * (logits.argmax(1) == target)[:, None]
        self.sums.copy_(torch.where(begins, 0, self.sums) + (right.T @ logits.softmax(1)).to(self.sums.dtype))
        self.seen.copy_(torch.where(begins, 0, self.seen) + len(target))
