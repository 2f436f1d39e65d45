"""Data given in Python: arrays, torch datasets, Hugging Face datasets. They become a folder of Parquet files.

The folder is in the cache, under a name that holds the hash of its content: a run can be resumed with the same data,
and processes and clusters read the files. Images are stored as PNG, which loses nothing.
"""

import hashlib
import io
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from osakd.data.cache import cache_folder, write_folder
from osakd.data.classes import check_distinct, clean_name
from osakd.errors import InputError, one_line
from osakd.paths import given_path

_EXPECTED = (
    "give a name, a folder, a pair (images, labels), a torch Dataset, a Hugging Face Dataset, or a dictionary of them "
    'with the keys "train" and "test"'
)
_GREY_AND_COLOUR = (1, 3, 4)
_STEP = 1 / 255
_OF_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Modes of PIL images that PNG has; others, such as CMYK, become RGB."""


Data = Any
"""What stands for data, see ``given_data``: a name, a path, or images in memory."""


def given_data(data: Data, *, split: str = "train") -> str:
    """The name, hub id or folder that stands for data; data in memory are written to a folder of the cache.

    Args:
        data: a name, a path; or a split ``(images, labels)``, a ``torch.utils.data.Dataset`` whose samples are
            ``(image, class)``, or a ``datasets.Dataset``; or a mapping of splits by name, ``train`` and ``test``.
            Images are ``uint8``, or floats in [0, 1], ``[h, w]``, ``[h, w, channels]`` or ``[channels, h, w]``, or
            PIL images.
        split: name of the split that a single one is.

    Raises:
        InputError: anything else, images of other values, or numbers of images and labels that differ.
        RunError: the cache cannot be written.
    """
    if isinstance(data, str | Path):
        return str(given_path(data)) if isinstance(data, Path) else data
    splits = dict(data) if isinstance(data, Mapping) else {split: data}
    if not splits or not all(isinstance(name, str) for name in splits):
        raise InputError(f"`data` has no splits by name: {_EXPECTED}.")
    tables = {name: _table(split, name) for name, split in splits.items()}
    digest = hashlib.sha256()
    for name, table in sorted(tables.items()):
        digest.update(repr((name, table.schema.metadata)).encode())
        for column in table.columns:
            for value in column.to_pylist():
                digest.update(repr(value).encode())
    folder = cache_folder() / f"{_name_of(next(iter(splits.values())))}-{digest.hexdigest()[:12]}"
    if not folder.is_dir():

        def write(beside: Path) -> None:
            for name, table in tables.items():
                pq.write_table(table, beside / f"{name}.parquet")

        write_folder(folder, write)
    return str(folder)


def _table(split: Any, name: str) -> Any:
    """A split as an Arrow table with the columns ``image`` and ``label``, or with a Hugging Face dataset's own."""
    if hasattr(split, "with_format") and hasattr(split, "features"):
        if not hasattr(split, "__len__"):
            raise InputError(f"The split {name!r} is a stream: load it without `streaming`.")
        table = _embedded(split.with_format("arrow")[:], name)
        if any(pa.types.is_nested(field.type) or pa.types.is_binary(field.type) for field in table.schema):
            return table
        raise InputError(f"The split {name!r} has no images ({', '.join(table.column_names)}): {_EXPECTED}.")
    images, labels = _columns(split, name)
    if len(images) != len(labels):
        raise InputError(f"The split {name!r} has {len(images)} images, but {len(labels)} labels: make them equal.")
    encoded = [encoded_image(image, f"{name}, image {number}") for number, image in enumerate(images)]
    names = class_names(split)
    values = labels
    if names and all(isinstance(label, int) and 0 <= label < len(names) for label in labels):
        check_distinct(name, names)
        values = [names[int(label)] for label in labels]
    return pa.table({"image": pa.array(encoded, pa.binary()), "label": pa.array(values)})


def _embedded(table: Any, name: str) -> Any:
    """A table with the images that it only names, read from their files."""
    from datasets.table import embed_table_storage

    try:
        return embed_table_storage(table)
    except Exception as error:  # file systems of many kinds
        words = one_line(error)
        raise InputError(f"The split {name!r} names an image that cannot be read ({words}): bring it back.") from error


def class_names(split: Any) -> list[str]:
    """The names of the classes of a torch dataset, or of those that it consists of; of several names the first.

    There are none, with a warning, where a ``target_transform`` may have given the numbers another meaning.
    """
    from torch.utils.data import ConcatDataset, Subset

    from osakd.data.indexed import WithIndex

    if getattr(split, "target_transform", None) is not None:
        warnings.warn(
            "The classes are called by their numbers: the dataset's `target_transform` may have made others of them.",
            stacklevel=2,
        )
        return []
    if isinstance(split, Subset | WithIndex):
        return class_names(split.dataset)
    if isinstance(split, ConcatDataset):
        first, *others = [class_names(part) for part in split.datasets]
        if any(names != first for names in others):
            raise InputError("The parts of a ConcatDataset name their classes differently: make their `classes` equal.")
        return first
    names = getattr(split, "classes", None)
    known = names if isinstance(names, Sequence) and not isinstance(names, str) else []
    return [clean_name(str(name[0] if isinstance(name, tuple | list) and name else name)) for name in known]


def _columns(split: Any, name: str) -> tuple[Sequence[Any], list[int | str]]:
    """The images and the labels of a split."""
    if isinstance(split, tuple) and len(split) == 2:
        images, labels = (_as_array(column) for column in split)
        if labels.ndim != 1:
            raise InputError(f"The labels of {name!r} must be one class for each image, got shape {labels.shape}.")
        return list(images), [_label(label, name) for label in labels.tolist()]
    if hasattr(split, "__len__") and hasattr(split, "__getitem__"):  # a torch Dataset has no other end
        samples = [split[row] for row in range(len(split))]
    elif isinstance(split, Iterable):
        samples: list[Any] = list(split)
    else:
        raise InputError(f"`data` cannot be of type {type(split).__name__}: {_EXPECTED}.")
    if not all(isinstance(sample, tuple | list) and len(sample) >= 2 for sample in samples):
        raise InputError(f"The samples of {name!r} must be pairs (image, class): {_EXPECTED}.")
    return [sample[0] for sample in samples], [_label(sample[1], name) for sample in samples]


def _as_array(column: Any) -> Any:
    """A column as an array; a list of images of several sizes stays a list of them."""
    if hasattr(column, "detach"):
        column = column.detach().cpu()
        is_half = column.is_floating_point() and column.itemsize == 2
        return (column.float() if is_half else column).numpy()  # NumPy has no bfloat16
    try:
        return np.asarray(column)
    except ValueError:
        array = np.empty(len(column), dtype=object)
        array[:] = list(column)
        return array


def _label(value: Any, name: str) -> int | str:
    value = value.item() if hasattr(value, "item") and math.prod(value.shape) == 1 else value
    if isinstance(value, str | Integral):
        return value if isinstance(value, str) else int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise InputError(f"The labels of {name!r} must be whole numbers or names of classes, got {value!r}.")


def encoded_image(image: Any, origin: str) -> bytes:
    """An image of a kind that ``given_data`` takes, as PNG; an InputError for another shape, or values out of range."""
    from PIL import Image

    picture = image if isinstance(image, Image.Image) else Image.fromarray(_pixels(image, origin))
    if picture.mode in ("I", "F"):
        raise InputError(f"{origin} has more than 8 bits per channel: save it with 8 bits.")
    if picture.mode not in _OF_PNG:
        picture = picture.convert("RGB")
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def _pixels(image: Any, origin: str) -> np.ndarray:
    """``uint8`` pixels, ``[h, w]`` or ``[h, w, channels]``."""
    pixels = _as_array(image)
    if pixels.dtype.kind not in "biuf":
        what = f"an array of {pixels.dtype}" if hasattr(image, "dtype") else f"of type {type(image).__name__}"
        raise InputError(f"{origin} is {what}: give PIL images, or arrays of pixels.")
    if 0 in pixels.shape:
        raise InputError(f"{origin} has shape {tuple(pixels.shape)}: it has no pixels.")
    if pixels.ndim == 3 and pixels.shape[2] not in _GREY_AND_COLOUR and pixels.shape[0] in _GREY_AND_COLOUR:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] not in _GREY_AND_COLOUR):
        raise InputError(
            f"{origin} has shape {tuple(pixels.shape)}: images are [h, w], [h, w, channels] or [channels, h, w] with "
            "1, 3 or 4 channels."
        )
    if pixels.dtype == np.uint8:
        return pixels
    whole = np.issubdtype(pixels.dtype, np.integer)
    scaled = pixels if whole else pixels * 255.0
    if not np.isfinite(scaled).all() or scaled.min() < -_STEP or scaled.max() > 255 + _STEP:
        raise InputError(
            f"{origin} has values from {pixels.min():g} to {pixels.max():g}: give uint8 images or floats in [0, 1], "
            "before any normalisation (the network does it)."
        )
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _name_of(split: Any) -> str:
    """A name for records: that of the dataset's class or builder."""
    if isinstance(split, tuple | list):
        return "samples" if isinstance(split, list) else "arrays"
    name = getattr(getattr(split, "info", None), "dataset_name", None) or type(split).__name__
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"
