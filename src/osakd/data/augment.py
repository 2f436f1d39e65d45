"""Random crops and horizontal flips, as pure functions of stored images and drawn numbers."""

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from osakd.data.streams import raw


def draw(count: int, *, padding: int, flip: bool, seed: int, stage: int, epoch: int) -> NDArray[np.int64]:
    """Draws how each sample is augmented in an epoch.

    Args:
        count: number of samples.
        padding: pixels of padding around an image, at least 0.
        flip: flip half of the images.
        seed: seed of the run.
        stage: stage of the run.
        epoch: epoch, counted from 1.

    Returns:
        Offsets of the crop down and to the right, each from -padding to padding, and 1 for flipped, ``[count, 3]``.
    """
    numbers = raw(3 * count, seed=seed, stage=stage, stream="augmentation", epoch=epoch).reshape(3, count)
    places = numbers % np.array([[2 * padding + 1], [2 * padding + 1], [2 if flip else 1]], dtype=np.uint64)
    return places.T.astype(np.int64) - np.array([padding, padding, 0])


def crop_and_flip(
    images: UInt8[Tensor, "m h w channels"], rows: Int[Tensor, " n"], drawn: Int[Tensor, "n 3"], *, reflect: bool
) -> UInt8[Tensor, "n h w channels"]:
    """Cropped and flipped images of these rows.

    Args:
        images: all images of the data set.
        rows: rows of ``images`` to take.
        drawn: offsets and flip of each of them, see ``draw``.
        reflect: pad with the image's reflection, without the edge pixels, instead of black.

    Example:
        >>> image = torch.tensor([1, 2, 3], dtype=torch.uint8).view(1, 1, 3, 1)
        >>> crop_and_flip(image, torch.tensor([0]), torch.tensor([[0, 1, 0]]), reflect=False).flatten().tolist()
        [2, 3, 0]
        >>> crop_and_flip(image, torch.tensor([0]), torch.tensor([[0, 1, 1]]), reflect=True).flatten().tolist()
        [2, 3, 2]
    """
    height, width = images.shape[1:3]
    down, right, flipped = drawn.unbind(1)
    column = torch.arange(width, device=rows.device)
    column = torch.where(flipped[:, None] == 1, width - 1 - column, column) + right[:, None]
    row = torch.arange(height, device=rows.device) + down[:, None]
    row, row_inside = _inside(row, height, reflect)
    column, column_inside = _inside(column, width, reflect)
    place = (rows[:, None, None] * height + row[:, :, None]) * width + column[:, None, :]
    cropped = images.flatten(0, 2).index_select(0, place.flatten()).view(len(rows), height, width, -1)
    if reflect:
        return cropped
    return cropped * (row_inside[:, :, None] & column_inside[:, None, :])[..., None]


def _inside(place: Tensor, size: int, reflect: bool) -> tuple[Tensor, Tensor]:
    """Positions moved into the image, and a mask of those that were inside it."""
    if reflect:
        place = place.abs()
        place = size - 1 - (size - 1 - place).abs()
    return place.clamp(0, size - 1), (place >= 0) & (place < size)
