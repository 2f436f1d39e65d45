"""A queue of the network's latest outputs, to search neighbours beyond the mini-batch without an index of samples."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from osakd.checks import whole
from osakd.errors import InputError
from osakd.labels.samples import as_probabilities


class OutputQueue(nn.Module):
    """The latest outputs of any samples and their classes, first in, first out.

    Its state is buffers, the place of the next sample among them, so it moves with its parent module, is in its state
    dict, and can be captured in a CUDA graph. In eval mode it is only read.

    Args:
        size: number of samples that it holds, at least 1.
        num_classes: number of classes, at least 1.

    Raises:
        InputError: a size out of its range.

    Example:
        >>> queue = OutputQueue(size=4, num_classes=2)
        >>> [queue.write(torch.rand(3, 2), torch.tensor([0, 1, 1])).tolist() for _ in range(2)]
        [[0, 1, 2], [3, 0, 1]]
    """

    outputs: Float[Tensor, "m c"]
    target: Float[Tensor, "m c"]
    valid: Bool[Tensor, " m"]
    place: Int[Tensor, ""]

    def __init__(self, size: int, num_classes: int) -> None:
        super().__init__()
        self.size = whole("queue_size", size, least=1)
        # The last row stands for samples that are not taken up, and is never valid.
        self.register_buffer("outputs", torch.zeros(size + 1, whole("num_classes", num_classes, least=1)))
        self.register_buffer("target", torch.zeros(size + 1, num_classes))
        self.register_buffer("valid", torch.zeros(size + 1, dtype=torch.bool))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def write(
        self,
        outputs: Float[Tensor, "n c"],
        target: Int[Tensor, " n"] | Float[Tensor, "n c"],
        used: Bool[Tensor, " n"] | None = None,
    ) -> Int[Tensor, " n"] | None:
        """Takes up samples in the place of the oldest; in eval mode it does nothing.

        Args:
            outputs: outputs of the samples, at most as many as the queue holds.
            target: class index of each sample, or its class probabilities.
            used: False for samples that are not taken up; by default all are.

        Returns:
            The row of each sample, None in eval mode.

        Raises:
            InputError: more samples than the queue holds.
        """
        if not self.training:
            return None
        samples = len(outputs)
        if samples > self.size:
            raise InputError(
                f"The queue holds {self.size} samples, fewer than a batch of {samples}: take a larger `queue_size`."
            )
        numbers = torch.arange(samples, device=outputs.device) if used is None else used.cumsum(0) - 1
        rows = (self.place + numbers) % self.size
        if used is not None:
            rows = torch.where(used, rows, self.size)
            outputs = torch.where(used[:, None], outputs, 0)
        self.outputs[rows] = outputs.to(self.outputs.dtype)
        self.target[rows] = as_probabilities(target, self.target)
        self.valid[rows] = torch.ones_like(rows, dtype=torch.bool) if used is None else used
        self.place.copy_((self.place + (samples if used is None else used.sum())) % self.size)
        return rows

    def extra_repr(self) -> str:
        """The sizes, for ``print``."""
        return f"size={self.size}, num_classes={self.outputs.shape[1]}"
