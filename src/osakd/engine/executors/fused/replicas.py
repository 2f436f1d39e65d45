"""How replicas and their images are laid out: replica by replica, the replicas of one seed side by side."""

from typing import NamedTuple

import torch
from torch import Tensor

Parts = list[Tensor]
"""Images of all replicas: one tensor, or one for each group."""


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
