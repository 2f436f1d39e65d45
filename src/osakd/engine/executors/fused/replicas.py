"""How replicas and their images are laid out: replica by replica, the replicas of one seed side by side."""

from typing import NamedTuple

from torch import Tensor


class Layout(NamedTuple):
    """``replicas`` networks in ``groups`` of equal size; a group shares its images.

    Folded into channels, a value is ``[n, copies * c, h, w]`` with one copy for all replicas, one for each group, or
    one for each replica.
    """

    replicas: int
    groups: int

    def spread(self, images: Tensor, channels: int, copies: int) -> Tensor:
        """Repeats folded images ``[n, copies * channels, h, w]`` until there are so many copies."""
        n, folded, height, width = images.shape
        found = folded // channels
        if found == copies:
            return images
        apart = images.view(n, found, 1, channels, height, width)
        return apart.expand(n, found, copies // found, channels, height, width).reshape(
            n, copies * channels, height, width
        )
