"""Input normalisation as the first layer of a network, so that a checkpoint contains it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Normalise(nn.Module):
    """``(images - mean) / std`` per channel, for float images in [0, 1]; each std is positive.

    Example:
        >>> Normalise([0.5], [0.5])(torch.ones(1, 1, 2, 2)).max()
        tensor(1.)
    """

    mean: Float[Tensor, "channels 1 1"]
    std: Float[Tensor, "channels 1 1"]

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n channels h w"]:
        """Normalises the images."""
        return normalised(images, self.mean, self.std)


def normalised(
    images: Float[Tensor, "n channels h w"], mean: Float[Tensor, "channels 1 1"], std: Float[Tensor, "channels 1 1"]
) -> Float[Tensor, "n channels h w"]:
    """``(images - mean) / std``; channels-last images are computed in whole rows, which is much faster."""
    if images.stride(1) == 1 and images.shape[1] > 1:
        mean, std = (value.view(1, -1).repeat(images.shape[3], 1).T[:, None] for value in (mean, std))
    return (images - mean).div_(std)
