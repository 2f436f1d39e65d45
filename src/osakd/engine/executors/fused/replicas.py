"""How replicas are laid out in one program, and what a lowering is: replica by replica, those of one seed together."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from osakd.engine.executors.base import Replicas
from osakd.engine.executors.stepwise import LossGroup

Parts = list[Tensor]
"""The images of all replicas: one tensor for all, or one for each group."""
Clock = tuple[Tensor, Tensor]
"""Number of steps taken, and share of the schedule that is done."""


class NotLowerableError(Exception):
    """The network has a layer or an operation that a lowering does not know."""


class Layout(NamedTuple):
    """The arrangement of ``replicas`` networks in ``groups`` of equal size; a group shares its images."""

    replicas: int
    groups: int

    @property
    def per_group(self) -> int:
        """Number of replicas in a group."""
        return self.replicas // self.groups

    def join(self, parts: Parts, channels: int) -> Tensor:
        """Joins parts ``[n, copies * channels, h, w]`` to one tensor ``[n, replicas * channels, h, w]``.

        There is one part or one for each group; each contains one copy for all of its replicas, or one for each.
        """
        n, folded, height, width = parts[0].shape
        wanted = self.replicas // len(parts)
        copies = folded // channels
        if copies != wanted:
            shape = (n, wanted * channels, height, width)
            apart = (part.view(n, copies, 1, channels, height, width) for part in parts)
            parts = [part.expand(n, copies, wanted // copies, channels, height, width).reshape(shape) for part in apart]
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


class StackedParameter(NamedTuple):
    """A trained parameter of several replicas.

    Attributes:
        parameter: the replicas' parameters, stacked or joined along the first axis.
        replicas: the numbers of these replicas, in order.
    """

    parameter: nn.Parameter
    replicas: list[int]


class Lowering(Protocol):
    """Replicas of methods as one program.

    Attributes:
        takes_bytes: it takes images as ``uint8`` of 0 to 255, else as floats of 0 to 1; ``[n, channels, h, w]``.
    """

    takes_bytes: bool

    def stacked_parameters(self) -> list[StackedParameter]:
        """Every parameter that trains."""
        ...

    def find(self, replica: int, name: str) -> StackedParameter:
        """The stacked parameter that includes the parameter ``name`` of a replica."""
        ...

    def tensors(self) -> list[Tensor]:
        """Every tensor that a step reads or changes, except the optimizer's state."""
        ...

    def statistics(self) -> list[Tensor]:
        """The running statistics of normalisation layers."""
        ...

    def losses(self, images: Parts, target: Tensor, index: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """The sum of all losses, and the parts of each, flat; in training mode.

        Args:
            images: images of each seed.
            target: class indices of each seed ``[groups, n]``.
            index: indices in each seed's training set ``[groups, n]``.
            clock: number of steps taken, and share of the schedule that is done.
        """
        ...

    def loss_groups(self) -> list[LossGroup]:
        """What the parts of the losses are, in order; known after the first step."""
        ...

    def predict(self, images: Parts) -> list[tuple[list[int], dict[str, Tensor]]]:
        """Numbers of replicas, and their logits by name ``[replicas, n, c]``; in eval mode."""
        ...

    def copy_to_methods(self) -> None:
        """Copies weights and buffers to the method of each replica."""
        ...

    def copy_from_methods(self) -> None:
        """Copies weights and buffers from the method of each replica."""
        ...


BuildLowering = Callable[[Replicas], Lowering]


def layout_of(replicas: Replicas) -> Layout:
    """The arrangement of replicas: one group per seed."""
    return Layout(len(replicas.methods), len(replicas.splits))


def replicas_by_key(replicas: Replicas) -> list[list[int]]:
    """The numbers of the replicas of each method."""
    return [
        [number for number, other in enumerate(replicas.keys) if other == key] for key in dict.fromkeys(replicas.keys)
    ]
