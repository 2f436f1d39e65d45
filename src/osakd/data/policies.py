"""Augmentation policies of torchvision, an optional package: each image by a seed of its own. Imports torch late."""

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from osakd.errors import InputError, one_line

if TYPE_CHECKING:
    from torch import Tensor

PolicyName = Literal["trivialaugment", "randaugment", "color-jitter", "random-resized-crop", "erasing"]
RESIZED = "random-resized-crop"
_TRANSFORMS: dict[str, tuple[str, dict[str, float]]] = {
    "trivialaugment": ("TrivialAugmentWide", {}),
    "randaugment": ("RandAugment", {}),
    "color-jitter": ("ColorJitter", {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}),
    RESIZED: ("RandomResizedCrop", {}),
    "erasing": ("RandomErasing", {}),
}
"""Classes of ``torchvision.transforms.v2``, and arguments that are not their defaults."""


def build_policy(names: Sequence[str], size: tuple[int, int]) -> "Callable[[Tensor, Tensor], Tensor]":
    """The policies of these names, one after the other; an InputError if torchvision cannot be imported.

    They map uint8 images ``[n, h, w, channels]`` of this height and width and the seed of each ``[n]`` to augmented
    images. The same seed gives the same pixels, and the caller's random numbers stay as they are.
    """
    import torch

    try:
        transforms: Any = importlib.import_module("torchvision.transforms.v2")
    except Exception as error:  # it may raise anything where it does not fit torch
        raise InputError(
            f"`augment` needs the package torchvision, which cannot be imported ({type(error).__name__}: "
            f"{one_line(error)}): pip install 'osakd[augment]', in the version that matches your torch."
        ) from error
    policies = []
    for name in names:
        kind, settings = _TRANSFORMS[name]
        policies.append(getattr(transforms, kind)(**settings, **({"size": size} if name == RESIZED else {})))

    def augmented(image: "Tensor", seed: int) -> "Tensor":
        torch.default_generator.manual_seed(seed)
        for policy in policies:
            image = policy(image)
        return image

    def apply(images: "Tensor", seeds: "Tensor") -> "Tensor":
        each = zip(images.cpu().permute(0, 3, 1, 2), seeds.tolist(), strict=True)
        with torch.random.fork_rng(devices=[]):
            found = torch.stack([augmented(image, seed) for image, seed in each])
        return found.permute(0, 2, 3, 1).contiguous().to(images.device)

    return apply
