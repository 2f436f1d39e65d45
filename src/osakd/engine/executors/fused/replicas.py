"""How replicas and their images are laid out: replica by replica, the replicas of one seed side by side."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from osakd.engine.executors.base import EpochOutcome

Parts = list[Tensor]
"""Images of all replicas: one tensor, or one for each group."""
Clock = tuple[Tensor, Tensor]
"""Steps taken, and share of the schedule done."""


class NotLowerableError(Exception):
    """The network has a layer or an operation that a lowering does not know."""


class Layout(NamedTuple):
    """``replicas`` networks in ``groups`` of equal size; a group shares its images."""

    replicas: int
    groups: int

    def join(self, parts: Parts, channels: int) -> Tensor:
        """One tensor ``[n, replicas * channels, h, w]`` of parts ``[n, copies * channels, h, w]``.

        There is one part or one for each group; each holds one copy for all of its replicas, or one for each.
        """
        n, folded, height, width = parts[0].shape
        own = self.replicas // len(parts)
        found = folded // channels
        if found != own:
            shape = (n, own * channels, height, width)
            apart = (part.view(n, found, 1, channels, height, width) for part in parts)
            parts = [part.expand(n, found, own // found, channels, height, width).reshape(shape) for part in apart]
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


class LossGroup(NamedTuple):
    """Replicas of one method, whose losses are mapped together.

    Attributes:
        rows: their numbers.
        names: of the parts of their loss, in the order in which a step gives them, ``[parts, rows]`` flat.
    """

    rows: list[int]
    names: list[str]

    def outcomes(self, values: Tensor, shares: Tensor, weights_fine: Sequence[bool]) -> dict[int, EpochOutcome]:
        """What an epoch leaves of each replica, by its number.

        Args:
            values: what each step gave of them ``[steps, parts * rows]``.
            shares: of each step in the epoch ``[steps]``.
            weights_fine: whether the weights of each replica of the program are finite at the epoch's end.
        """
        table = values.double().unflatten(1, (len(self.names), -1))
        means = torch.einsum("spr,s->rp", table, shares).tolist()
        finite = torch.isfinite(table[:, self.names.index("total")]).tolist()
        found = {}
        for number, row in enumerate(self.rows):
            # The last step may spoil the weights after its own loss was fine.
            spoilt = None if weights_fine[row] else len(finite) - 1
            bad = next((step for step, fine in enumerate(finite) if not fine[number]), spoilt)
            found[row] = EpochOutcome(dict(zip(self.names, means[number], strict=True)), bad)
        return found


class StackedParameter(NamedTuple):
    """A trained parameter of several replicas, along its first axis; and which replicas these are."""

    parameter: nn.Parameter
    rows: list[int]


class Lowering(Protocol):
    """Replicas of methods as one program."""

    def held(self) -> list[StackedParameter]:
        """Every parameter that trains."""
        ...

    def home(self, replica: int, name: str) -> StackedParameter:
        """The parameter that holds what a replica calls ``name``."""
        ...

    def tensors(self) -> list[Tensor]:
        """Everything that a step reads or changes, but for the optimizer's state."""
        ...

    def losses(self, images: Parts, target: Tensor, rows: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """The sum of all losses, and the parts of each, flat; in training mode.

        Args:
            images: of each seed.
            target: of each seed ``[groups, n]``.
            rows: of each seed's training set ``[groups, n]``.
            clock: steps taken, and share of the schedule done.
        """
        ...

    def loss_groups(self) -> list[LossGroup]:
        """What the parts of the losses are, in order; known after the first step."""
        ...

    def predict(self, images: Parts) -> list[tuple[list[int], dict[str, Tensor]]]:
        """Replicas, and their logits by name ``[replicas, n, c]``; in eval mode."""
        ...

    def write(self) -> None:
        """Gives every method its own weights and buffers."""
        ...

    def read(self) -> None:
        """Takes the weights and buffers of the methods."""
        ...
