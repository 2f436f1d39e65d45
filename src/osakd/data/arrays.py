"""A data set as arrays: uint8 images, channels last, and class indices."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from osakd.checks import number
from osakd.data.options import ImageOptions
from osakd.data.stratified import draw_share
from osakd.records import DataRecord, RunConfig

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

SKEWED = 2
"""Class sizes are skewed where the largest is more than this many times the smallest."""
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
        content: hash of the encoded images and classes, and of what decoding changed.
        notes: what the user should know of how the data were read.
        test_files: where each test image is; empty for images that are in no file.
    """

    name: str
    kind: str
    content: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    validation: Split | None = None
    notes: tuple[str, ...] = ()
    test_files: Sequence[str] = ()
    options: ImageOptions = field(default_factory=ImageOptions)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        height, width, channels = self.train.images.shape[1:]
        return channels, height, width

    def describe_classes(self) -> list[str]:
        """The number of classes and the sizes of the smallest and the largest; a warning if they look like no classes.

        Example:
            >>> images = np.zeros((5, 1, 1, 1), dtype=np.uint8)
            >>> split = Split(images, np.array([0, 0, 0, 0, 1]))
            >>> DataArrays("made", "folder", "", ("cat", "dog"), split, split).describe_classes()
            ["Classes: 2; training images of each: 1 ('dog') to 4 ('cat')."]
        """
        counts = np.bincount(self.train.target, minlength=self.num_classes)
        least, most = int(counts.argmin()), int(counts.argmax())
        few, many = int(counts[least]), int(counts[most])
        if many > SKEWED * few:
            sizes = f"{few:,} ({self.class_names[least]!r}) to {many:,} ({self.class_names[most]!r})"
        else:
            sizes = f"{few:,}" if few == many else f"{few:,} to {many:,}"
        lines = [f"Classes: {self.num_classes}; training images of each: {sizes}."]
        if 2 * self.num_classes > len(self.train):
            lines.append(
                f"Warning: {self.num_classes} classes for {len(self.train)} training images: are these the classes? "
                "(--label-column names their column, train/CLASS/NAME.png their folders)"
            )
        return lines

    def record(self, *, channels: int, validation: float, seed: int) -> DataRecord:
        """The description of the data in the configuration of a run with these channels and this validation split."""
        trained_on, held_out = self._held_out(validation, seed)
        return DataRecord(
            name=self.name,
            kind=self.kind,
            content=self.content,
            input_shape=[channels, *self.input_shape[1:]],
            class_counts=np.bincount(self.train.target[trained_on], minlength=self.num_classes).tolist(),
            train=len(trained_on),
            validation=len(held_out),
            test=len(self.test),
            **self.options.record(),
        )

    def view(self, config: RunConfig) -> "DataArrays":
        """The data as a run sees them: its part of the training set, its validation split, its number of channels."""
        held_out = self.part(config.fraction).hold_out(config.validation, config.seed)
        return held_out.with_channels(config.data["input_shape"][0])

    def part(self, fraction: float) -> "DataArrays":
        """The same data with a fixed share of each class's training images, at least one, the same for every seed.

        Raises:
            InputError: a share that is not above 0 and at most 1, or less than one image of every class.
        """
        if number("fraction", fraction, above=0, most=1) == 1:
            return self
        rows = draw_share(
            self.train.target, self.class_names, fraction, option="fraction", seed=0, epoch=1, leave_one=False
        )
        return replace(self, train=self.train.take(rows))

    def hold_out(self, share: float, seed: int) -> "DataArrays":
        """The same data with a share of each class's training images held out for validation, drawn by seed.

        Each class has at least one image on either side.

        Raises:
            InputError: a share outside [0, 1), less than one image of every class, or a class with a single image.
        """
        if share == 0:
            return self
        trained_on, held_out = self._held_out(share, seed)
        return replace(self, train=self.train.take(trained_on), validation=self.train.take(held_out))

    def _held_out(self, share: float, seed: int) -> tuple[Labels, Labels]:
        """The rows of the training set to train on, and those held out for validation."""
        every = np.arange(len(self.train))
        if number("validation", share, least=0, below=1) == 0:
            return every, np.arange(0)
        held_out = draw_share(
            self.train.target, self.class_names, share, option="validation", seed=seed, epoch=0, leave_one=True
        )
        return np.setdiff1d(every, held_out), held_out

    def with_channels(self, channels: int) -> "DataArrays":
        """The same images in grey (1) or colour (3)."""
        splits = {
            key: replace(split, images=in_channels(split.images, channels))
            for key in ("train", "test", "validation")
            if (split := getattr(self, key)) is not None
        }
        return replace(self, **splits)

    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel of the training images, in [0, 1]."""
        # Exact integer histograms: the result does not depend on any order of summation.
        levels = np.arange(256) / 255
        mean, std = [], []
        for channel in range(self.train.images.shape[-1]):
            counts = np.bincount(self.train.images[..., channel].ravel(), minlength=256)
            average = float(counts @ levels / counts.sum())
            mean.append(average)
            std.append(max(float(np.sqrt(counts @ (levels - average) ** 2 / counts.sum())), 1e-6))
        return mean, std


def content_hash(*splits: tuple[Sequence[bytes | memoryview], Labels]) -> str:
    """SHA-256 over the images and the classes of each split; its first 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for images, classes in splits:
        digest.update(len(classes).to_bytes(8, "little"))
        for image in images:
            digest.update(len(image).to_bytes(8, "little"))
            digest.update(image)
        digest.update(classes.tobytes())
    return digest.hexdigest()[:16]


def in_channels(images: Images, channels: int) -> Images:
    """Images ``[m, h, w, channels]`` in grey (1) or colour (3)."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    return np.rint(images.astype(np.float32) @ _LUMA).astype(np.uint8)[..., None]
