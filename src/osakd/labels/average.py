"""Each sample's soft labels averaged over the epochs: neighbours from many batches instead of one.

Reference:
    The average over epochs is temporal ensembling: Laine and Aila, "Temporal Ensembling for Semi-Supervised Learning",
    ICLR 2017; there of the network's outputs, here of its neighbours' classes.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.errors import InputError
from osakd.labels.kept import KeptPerSample


class LabelAverage(KeptPerSample):
    r"""The running average of every training sample's soft labels.

    .. math:: \bar q \leftarrow m_t \bar q + (1 - m_t) q, \quad m_t = \min(m, t / (t + 1))

    where t is the number of labels that the sample had before: first a plain mean, then an exponential one. Its state
    is buffers, so it moves with its parent module and is in its state dict. In eval mode it is only read.

    Args:
        num_samples: number of training samples; 0 if it is not known yet: ``resize`` or a loaded state dict sets it.
        num_classes: number of classes, at least 1.
        momentum: weight m of the earlier labels, 0 (no average) to below 1.

    Raises:
        InputError: a value out of its range.

    Example:
        >>> average = LabelAverage(num_samples=100, num_classes=2, momentum=0.9)
        >>> index = torch.tensor([7])
        >>> _ = average(index, torch.tensor([[1.0, 0.0]]))
        >>> average(index, torch.tensor([[0.0, 1.0]]))
        tensor([[0.5000, 0.5000]])
    """

    rows = "labels"
    labels: Float[Tensor, "m c"]
    counts: Float[Tensor, " m"]

    def __init__(self, num_samples: int, num_classes: int, *, momentum: float = 0.9) -> None:
        if not 0 <= momentum < 1:
            raise InputError(f"`momentum` must be at least 0 and below 1, got {momentum}.")
        super().__init__(num_samples, num_classes)
        self.momentum = momentum
        self.register_buffer("labels", torch.zeros(num_samples, num_classes))
        self.register_buffer("counts", torch.zeros(num_samples))

    @torch.no_grad()
    def forward(
        self,
        index: Int[Tensor, " n"],
        soft_labels: Float[Tensor, "n c"],
        used: Bool[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n c"]:
        """Adds the soft labels of the samples ``index`` (0 to m - 1, each at most once) and returns their averages.

        Args:
            index: row of each sample.
            soft_labels: its soft labels of this visit.
            used: False for samples of which nothing is kept.

        Returns:
            Averaged soft labels; rows that sum to 1 still do.
        """
        counts = self.counts[index]
        kept = (counts / (counts + 1)).clamp(max=self.momentum)[:, None].to(soft_labels.dtype)
        averaged = kept * self.labels[index].to(soft_labels.dtype) + (1 - kept) * soft_labels
        if self.training:
            # index_put_: index_copy_ and scatter_ fall back to slow loops when they are mapped over replicas.
            new, visits = averaged.to(self.labels.dtype), 1
            if used is not None:
                new, visits = torch.where(used[:, None], new, self.labels[index]), used.to(counts.dtype)
            self.labels[index] = new
            self.counts[index] = counts + visits
        return averaged

    def extra_repr(self) -> str:
        """The sizes, for ``print``."""
        return f"num_samples={self.labels.shape[0]}, num_classes={self.labels.shape[1]}, momentum={self.momentum}"
