"""Random crops and mirror images, as pure functions of stored images and drawn numbers."""

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from osakd.data.streams import raw


def draw(count: int, *, padding: int, flip: bool, seed: int, stage: int, epoch: int) -> NDArray[np.int64]:
    """What is done to each sample in an epoch.

    Args:
        count: samples.
        padding: pixels around an image, at least 0.
        flip: half of the images are mirrored.
        seed: of the run.
        stage: of the run.
        epoch: counted from 1.

    Returns:
        How far down and to the right the crop begins, each from -padding to padding, and 1 for mirrored ``[m, 3]``.
    """
    numbers = raw(3 * count, seed=seed, stage=stage, stream="augmentation", epoch=epoch).reshape(3, count)
    places = numbers % np.array([[2 * padding + 1], [2 * padding + 1], [2 if flip else 1]], dtype=np.uint64)
    return places.T.astype(np.int64) - np.array([padding, padding, 0])


def crop_and_flip(
    images: UInt8[Tensor, "m h w channels"], rows: Int[Tensor, " n"], drawn: Int[Tensor, "n 3"], *, reflect: bool
) -> UInt8[Tensor, "n h w channels"]:
    """Images of these rows, each cropped and mirrored as it was drawn.

    Args:
        images: the whole set.
        rows: which of them.
        drawn: for each, see ``draw``.
        reflect: what lies outside of an image is its mirror image without the edge itself, else black.

    Example:
        >>> image = torch.tensor([1, 2, 3], dtype=torch.uint8).view(1, 1, 3, 1)
        >>> crop_and_flip(image, torch.tensor([0]), torch.tensor([[0, 1, 0]]), reflect=False).flatten().tolist()
        [2, 3, 0]
        >>> crop_and_flip(image, torch.tensor([0]), torch.tensor([[0, 1, 1]]), reflect=True).flatten().tolist()
        [2, 3, 2]
    """
    height, width = images.shape[1:3]
    down, right, mirrored = drawn.unbind(1)
    column = torch.arange(width, device=rows.device)
    column = torch.where(mirrored[:, None] == 1, width - 1 - column, column) + right[:, None]
    row = torch.arange(height, device=rows.device) + down[:, None]
    row, row_inside = _inside(row, height, reflect)
    column, column_inside = _inside(column, width, reflect)
    place = (rows[:, None, None] * height + row[:, :, None]) * width + column[:, None, :]
    found = images.flatten(0, 2).index_select(0, place.flatten()).view(len(rows), height, width, -1)
    if reflect:
        return found
    return found * (row_inside[:, :, None] & column_inside[:, None, :])[..., None]


def _inside(place: Tensor, size: int, reflect: bool) -> tuple[Tensor, Tensor]:
    """Places brought into an image, and which of them were there before."""
    if reflect:
        place = place.abs()
        place = size - 1 - (size - 1 - place).abs()
    return place.clamp(0, size - 1), (place >= 0) & (place < size)
