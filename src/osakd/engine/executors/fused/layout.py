"""How the replicas of one group are laid out: replica by replica, those of one seed side by side."""

from typing import NamedTuple

import torch
from torch import Tensor

from osakd.engine.executors.base import Replicas

Parts = list[Tensor]
"""The images of all replicas: one tensor for all, or one for each seed."""


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
            split = (part.view(n, copies, 1, channels, height, width) for part in parts)
            parts = [part.expand(n, copies, wanted // copies, channels, height, width).reshape(shape) for part in split]
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def layout_of(replicas: Replicas) -> Layout:
    """The arrangement of replicas: one group per seed."""
    return Layout(len(replicas.methods), len(replicas.splits))
