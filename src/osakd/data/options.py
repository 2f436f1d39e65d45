"""How a data set is read where its own layout does not say it: the size of its images, its test split, its columns."""

import re
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from osakd.checks import number
from osakd.errors import InputError
from osakd.records import DataOrigin


@dataclass(frozen=True)
class ImageOptions:
    """How to read a data set; the defaults read it as it is.

    Attributes:
        resize: height and width to which every image is resized, or a size as a user gives it: ``32``, ``"64x48"``.
        test_fraction: share of each class that becomes the test split, above 0 and below 1; 0 takes the data's own.
        label_column: column of Parquet files that holds the class.
        image_column: column of Parquet files that holds the image.

    Raises:
        InputError: not a size, or a fraction out of its range.

    Example:
        >>> ImageOptions(resize="64x48").resize
        (64, 48)
    """

    resize: tuple[int, int] | None = None
    test_fraction: float = 0.0
    label_column: str | None = None
    image_column: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "resize", None if self.resize is None else _size(self.resize))
        object.__setattr__(self, "test_fraction", number("test_fraction", self.test_fraction, least=0, below=1))

    def record(self) -> dict[str, Any]:
        """What a run's configuration records: the options that are not at their defaults."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items() if value}


def recorded_options(data: DataOrigin) -> ImageOptions:
    """How a run read its data, from the description of the data in its configuration."""
    values: dict[str, Any] = {**data}
    return ImageOptions(**{name: values[name] for name in vars(ImageOptions()) if name in values})


def _size(size: Any) -> tuple[int, int]:
    sides = size
    if isinstance(size, str):
        numbers = re.fullmatch(r"\s*(\d+)(?:\s*[xX×]\s*(\d+))?\s*", size)  # noqa: RUF001 - what a person may paste
        sides = [int(side) for side in numbers.groups() if side is not None] if numbers else []
    elif isinstance(size, Integral) and not isinstance(size, bool):
        sides = [size]
    if not isinstance(sides, list | tuple) or len(sides) not in (1, 2) or not all(map(_is_length, sides)):
        raise InputError(f"`resize` must be a size in pixels such as 32 or 64x48 (height x width), got {size!r}.")
    return int(sides[0]), int(sides[-1])


def _is_length(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
