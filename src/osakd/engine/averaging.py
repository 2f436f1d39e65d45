"""Exponential moving average of weights: an average of the networks along the path of training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_STATISTICS = ("running_mean", "running_var")


class WeightAverage:
    r"""The moving averages of tensors.

    .. math:: a_t = d \, a_{t-1} + (1 - d) \, w_t, \quad a_1 = w_1

    Args:
        tensors: the weights, and the running statistics of their normalisation layers.
        decay: the decay d, above 0 and below 1.

    Reference:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; as
        ``torch.optim.swa_utils.AveragedModel`` with ``get_ema_multi_avg_fn``.
    """

    def __init__(self, tensors: Sequence[Tensor], decay: float) -> None:
        self.tensors = [tensor.detach() for tensor in tensors]
        self.averages = [tensor.clone() for tensor in self.tensors]
        self.rest = 1 - decay
        # A tensor, so that a captured step reads it: 1 before the first step, which copies.
        self.weight = torch.ones((), dtype=self.tensors[0].dtype, device=self.tensors[0].device)

    @torch.no_grad()
    def update(self) -> None:
        """Takes the weights after a step into the averages."""
        for average, tensor in zip(self.averages, self.tensors, strict=True):
            average.lerp_(tensor, self.weight)
        self.weight.fill_(self.rest)

    @torch.no_grad()
    def assign(self) -> None:
        """Sets the averages to what the tensors are now: averages that were loaded into them."""
        for average, tensor in zip(self.averages, self.tensors, strict=True):
            average.copy_(tensor)
        self.weight.fill_(self.rest)

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
        return [*self.averages, self.weight]

    @torch.no_grad()
    def _swap(self) -> None:
        for average, tensor in zip(self.averages, self.tensors, strict=True):
            before = tensor.clone()
            tensor.copy_(average)
            average.copy_(before)


def averaged_names(module: nn.Module) -> list[str]:
    """The names of what is averaged of a module: trained parameters, and running statistics of normalisation layers."""
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    return trained + [name for name, _ in module.named_buffers() if is_statistic(name)]


def is_statistic(name: str) -> bool:
    """Whether a buffer is a running statistic of a normalisation layer, by its name."""
    return name.rpartition(".")[2].startswith(_STATISTICS)
