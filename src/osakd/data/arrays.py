"""A data set as arrays: uint8 images, channels last, and class indices."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osakd.data.streams import permutation
from osakd.errors import InputError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's convert("L")


@dataclass(frozen=True)
class Split:
    """Images ``[m, h, w, channels]`` of 0 to 255 and their class indices ``[m]``."""

    images: Images
    target: Labels

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: Labels) -> "Split":
        """The images of these rows."""
        return Split(self.images[rows], self.target[rows])


@dataclass(frozen=True)
class DataArrays:
    """Every image of a data set.

    Attributes:
        name: name of the data set in records; never a path.
        kind: ``"named"`` for a data set known by name, ``"hub"`` for a hub id, ``"folder"`` for local files.
        content: hash of the encoded images and classes.
        class_names: name of each class.
        train: training images.
        test: test images.
        validation: images held out from the training set for validation, if any.
    """

    name: str
    kind: str
    content: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    validation: Split | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        height, width, channels = self.train.images.shape[1:]
        return channels, height, width

    def record(self, *, channels: int, validation: float, seed: int) -> dict[str, Any]:
        """The description of the data in the configuration of a run with these channels and this validation split."""
        kept, held_out = self._held_out(validation, seed)
        return {
            "name": self.name,
            "kind": self.kind,
            "content": self.content,
            "input_shape": [channels, *self.input_shape[1:]],
            "class_counts": np.bincount(self.train.target[kept], minlength=self.num_classes).tolist(),
            "train": len(kept),
            "validation": len(held_out),
            "test": len(self.test),
        }

    def view(self, *, fraction: float, validation: float, seed: int, channels: int) -> "DataArrays":
        """The data as a run sees them: its part of the training set, its validation split, its number of channels."""
        return self.part(fraction).hold_out(validation, seed).with_channels(channels)

    def part(self, fraction: float) -> "DataArrays":
        """The same data with a fixed share of each class's training images, the same for every seed.

        Raises:
            InputError: a share that is not above 0 and at most 1.
        """
        if not 0 < fraction <= 1:
            raise InputError(f"`fraction` must be above 0 and at most 1 (a share of the training set), got {fraction}.")
        if fraction == 1:
            return self
        order = permutation(len(self.train), seed=0, stage=0, stream="split", epoch=1)
        by_class = [order[self.train.target[order] == label] for label in range(self.num_classes)]
        kept = np.sort(np.concatenate([rows[: round(fraction * len(rows))] for rows in by_class]))
        return replace(self, train=self.train.take(kept))

    def hold_out(self, share: float, seed: int) -> "DataArrays":
        """The same data with a share of each class's training images held out for validation, drawn by seed.

        Raises:
            InputError: a share outside [0, 1), or one that leaves no image on a side.
        """
        if share == 0:
            return self
        kept, held_out = self._held_out(share, seed)
        return replace(self, train=self.train.take(kept), validation=self.train.take(held_out))

    def _held_out(self, share: float, seed: int) -> tuple[Labels, Labels]:
        """The rows of the training set to train on, and those held out for validation."""
        if not 0 <= share < 1:
            raise InputError(f"`validation` must be at least 0 and below 1 (a share of the training set), got {share}.")
        if share == 0:
            return np.arange(len(self.train)), np.arange(0)
        order = permutation(len(self.train), seed=seed, stage=0, stream="split", epoch=0)
        by_class = [order[self.train.target[order] == label] for label in range(self.num_classes)]
        held_out = np.sort(np.concatenate([rows[: round(share * len(rows))] for rows in by_class]))
        kept = np.setdiff1d(np.arange(len(self.train)), held_out)
        if not len(held_out) or not len(kept):
            raise InputError(
                f"A `validation` share of {share} of {len(self.train)} training images leaves one side empty: "
                "take another share."
            )
        return kept, held_out

    def with_channels(self, channels: int) -> "DataArrays":
        """The same images in grey (1) or colour (3)."""
        splits = {
            key: replace(split, images=_convert(split.images, channels))
            for key in ("train", "test", "validation")
            if (split := getattr(self, key)) is not None
        }
        return replace(self, **splits)

    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel of the training images, in [0, 1]."""
        # Exact integer histograms: the result does not depend on any order of summation.
        channels = self.train.images.shape[-1]
        levels = np.arange(256) / 255
        mean, std = [], []
        for channel in range(channels):
            counts = np.bincount(self.train.images[..., channel].ravel(), minlength=256)
            average = float(counts @ levels / counts.sum())
            mean.append(average)
            std.append(max(float(np.sqrt(counts @ (levels - average) ** 2 / counts.sum())), 1e-6))
        return mean, std


def content_hash(*splits: tuple[list[bytes], Labels]) -> str:
    """SHA-256 over the images and the classes of each split; its first 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for images, classes in splits:
        digest.update(len(classes).to_bytes(8, "little"))
        for image in images:
            digest.update(len(image).to_bytes(8, "little"))
            digest.update(image)
        digest.update(classes.tobytes())
    return digest.hexdigest()[:16]


def _convert(images: Images, channels: int) -> Images:
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    return np.rint(images.astype(np.float32) @ _LUMA).astype(np.uint8)[..., None]
