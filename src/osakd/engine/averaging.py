"""Exponential moving average of weights: an average of the networks along the path of training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

WARM_UP = 10
"""How slowly the window grows at the start: after t steps it is of t / 10 + 1 steps, until it has its full length."""
_STATISTICS = ("running_mean", "running_var")


class WeightAverage:
    r"""The moving averages of tensors.

    .. math:: a \leftarrow d_t \, a + (1 - d_t) \, w, \quad d_t = \min(d, t / (10 + t))

    after each step, with t the number of steps before it. So the average is not held back by the first weights, however
    long its window.

    Args:
        tensors: the weights, and the running statistics of their normalisation layers.
        decay: the decay d, above 0 and below 1.

    Reference:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; the correction at the start
        is that of TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``.
    """

    def __init__(self, tensors: Sequence[Tensor], decay: float) -> None:
        self.tensors = [tensor.detach() for tensor in tensors]
        self.averages = [tensor.clone() for tensor in self.tensors]
        self.rest = 1 - decay
        # Tensors, so that a captured step reads them. The first step copies: its weight is 1.
        self.steps = torch.zeros((), dtype=torch.float64, device=self.tensors[0].device)
        self.weight = torch.ones((), dtype=self.tensors[0].dtype, device=self.tensors[0].device)

    @torch.no_grad()
    def update(self) -> None:
        """Takes the weights after a step into the averages."""
        for average, tensor in zip(self.averages, self.tensors, strict=True):
            average.lerp_(tensor, self.weight)
        self._count(self.steps + 1)

    @torch.no_grad()
    def load(self, averages: Sequence[Tensor], steps: int) -> None:
        """Sets the averages to these, which are of so many steps."""
        for average, tensor in zip(self.averages, averages, strict=True):
            average.copy_(tensor)
        self._count(torch.as_tensor(steps))

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Puts the averages into the tensors for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> list[Tensor]:
        """The tensors that an update changes."""
        return [*self.averages, self.steps, self.weight]

    def _count(self, steps: Tensor) -> None:
        self.steps.copy_(steps)
        self.weight.copy_((WARM_UP / (WARM_UP + self.steps)).clamp(min=self.rest))

    @torch.no_grad()
    def _swap(self) -> None:
        for average, tensor in zip(self.averages, self.tensors, strict=True):
            before = tensor.clone()
            tensor.copy_(average)
            average.copy_(before)


def decay_of(epochs: float, steps_per_epoch: int) -> float:
    """The decay whose window is of so many epochs."""
    return max(0.0, 1 - 1 / (epochs * steps_per_epoch))


def averaged_names(module: nn.Module) -> list[str]:
    """The names of what is averaged of a module: trained parameters, and running statistics of normalisation layers."""
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    return trained + [name for name, _ in module.named_buffers() if is_statistic(name)]


def is_statistic(name: str) -> bool:
    """Whether a buffer is a running statistic of a normalisation layer, by its name."""
    return name.rpartition(".")[2].startswith(_STATISTICS)
