"""Random crops, horizontal flips, mixup and CutMix, as pure functions of stored images and drawn numbers."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from osakd.data.streams import raw
from osakd.records import RunConfig


class Draws(NamedTuple):
    """How each training image is augmented in an epoch, as arrays or tensors; None for what is not done.

    Attributes:
        places: offsets of the crop, and 1 for flipped, see ``draw``.
        mixes: how it is mixed with another image, see ``draw_mixes``.
        seeds: seed of its policies' random numbers, see ``data.policies``.
    """

    places: Any = None
    mixes: Any = None
    seeds: Any = None


def draws_of(config: RunConfig, epoch: int) -> Draws:
    """What a run draws for an epoch, counted from 1."""
    count, (_, height, width) = config.data["train"], config.data["input_shape"]
    key = {"seed": config.seed, "stage": config.stage, "epoch": epoch}
    moved, mixed = config.crop or config.flip, config.mixup or config.cutmix
    return Draws(
        draw(count, padding=config.crop, flip=config.flip, **key) if moved else None,
        draw_mixes(count, (height, width), mixup=config.mixup, cutmix=config.cutmix, **key) if mixed else None,
        (raw(count, stream="policy", **key) >> np.uint64(1)).astype(np.int64) if config.augment else None,
    )


def draw(count: int, *, padding: int, flip: bool, seed: int, stage: int, epoch: int) -> NDArray[np.int64]:
    """Draws how each sample is augmented in an epoch.

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


def draw_mixes(
    count: int, size: tuple[int, int], *, mixup: float, cutmix: float, seed: int, stage: int, epoch: int
) -> NDArray[np.float64]:
    """Draws how each sample is mixed with another one in an epoch; with both, half of them by either.

    ``mixup`` and ``cutmix`` are parameters of the Beta distributions of Zhang et al., ICLR 2018, and Yun et al., ICCV
    2019; 0 for none.

    Returns:
        A box and what a sample keeps of its pixels there: ``share, top, bottom, left, right``, ``[count, 5]``. Mixup's
        box is the whole image; CutMix keeps nothing.
    """
    from scipy.special import betaincinv

    key = {"seed": seed, "stage": stage, "epoch": epoch}
    which, share, *centre = raw(4 * count, stream="mixing", **key).reshape(4, count) / 2**64
    cut = which < 0.5 if mixup and cutmix else np.full(count, cutmix > 0)
    alpha = np.where(cut, cutmix, mixup)
    share = betaincinv(alpha, alpha, share)
    half = np.where(cut, np.sqrt(1 - share) / 2, 1)
    edges = [
        np.clip(np.rint((middle + sign * half) * side), 0, side)
        for middle, side in zip(centre, size, strict=True)
        for sign in (-1, 1)
    ]
    return np.stack([np.where(cut, 0, share), *edges], axis=1)


def mix(images: UInt8[Tensor, "n h w channels"], drawn: Float[Tensor, "n 5"]) -> UInt8[Tensor, "n h w channels"]:
    """Each image mixed with the one before it in the batch, the first with the last, see ``draw_mixes``."""
    share, top, bottom, left, right = drawn[:, :, None, None].unbind(1)
    row, column = (torch.arange(side, device=images.device) for side in images.shape[1:3])
    inside = (row[:, None] >= top) & (row[:, None] < bottom) & (column >= left) & (column < right)
    own = torch.where(inside, share, 1.0)[..., None].to(torch.float32)
    return (own * images + (1 - own) * images.roll(1, 0)).round().to(torch.uint8)


def mixed_targets(
    target: Int[Tensor, " n"], drawn: Float[Tensor, "n 5"], size: tuple[int, int], num_classes: int
) -> Float[Tensor, "n c"]:
    """Class probabilities of mixed images: the share of either image in it.

    Example:
        >>> drawn = torch.tensor([[0.0, 0, 2, 0, 1], [0.7, 0, 2, 0, 2]])
        >>> mixed_targets(torch.tensor([0, 1]), drawn, (2, 2), 2)
        tensor([[0.5000, 0.5000],
                [0.3000, 0.7000]])
    """
    share, top, bottom, left, right = drawn.unbind(1)
    own = 1 - (1 - share) * (bottom - top) * (right - left) / (size[0] * size[1])
    classes = (target[:, None] == torch.arange(num_classes, device=target.device)).to(torch.get_default_dtype())
    return torch.lerp(classes.roll(1, 0), classes, own[:, None].to(classes.dtype))


def _inside(place: Tensor, size: int, reflect: bool) -> tuple[Tensor, Tensor]:
    """Positions moved into the image, and a mask of those that were inside it."""
    if reflect:
        place = place.abs()
        place = size - 1 - (size - 1 - place).abs()
    return place.clamp(0, size - 1), (place >= 0) & (place < size)
