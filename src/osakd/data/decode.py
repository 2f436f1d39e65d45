"""Encoded images become uint8 arrays, once; the arrays are cached under a key of their content and mapped into memory.

The cache is ``$OSAKD_CACHE``, or ``$XDG_CACHE_HOME/osakd``, or ``~/.cache/osakd``; it may be deleted at any time.
"""

import io
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osakd.data.arrays import DataArrays, Images, Labels, Split, content_hash
from osakd.errors import InputError, RunError

_LAYOUT = "1"  # raise it when the cached arrays' layout changes


@dataclass(frozen=True)
class EncodedSplit:
    """Images as PNG, JPEG or similar bytes, their classes, and where each came from, for messages.

    ``named`` is False where the data do not name their classes and numbers stand in.
    """

    images: list[bytes]
    target: Labels
    class_names: tuple[str, ...]
    origins: list[str]
    named: bool = True


def cache_folder() -> Path:
    """The folder of decoded arrays."""
    if os.environ.get("OSAKD_CACHE"):
        return Path(os.environ["OSAKD_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osakd"


def decoded(name: str, kind: str, train: EncodedSplit, test: EncodedSplit) -> DataArrays:
    """The arrays of two encoded splits, from the cache where they are there, shared between processes.

    Raises:
        InputError: an image that cannot be decoded, images of several sizes, a class beyond the training set's.
        RunError: the cache cannot be written.
    """
    class_names = _class_names(name, train, test)
    content = content_hash((train.images, train.target), (test.images, test.target))
    folder = cache_folder() / f"{content}-{_LAYOUT}"
    images = _read_cache(folder, train, test)
    if images is None:
        _write_cache(folder, _decode_splits(train, test))
        images = _read_cache(folder, train, test)
    if images is None:
        raise RunError(f"The cache {str(folder)!r} cannot be read back: delete it, or name another in OSAKD_CACHE.")
    splits = [Split(array, split.target) for array, split in zip(images, (train, test), strict=True)]
    return DataArrays(name, kind, content, class_names, *splits)


def _class_names(name: str, train: EncodedSplit, test: EncodedSplit) -> tuple[str, ...]:
    """The training set's; the test set must agree."""
    names = train.class_names
    for split in (train, test):
        if not split.images:
            raise InputError(f"The data {name!r} has an empty split: both train and test need images.")
        if split.target.max() >= len(names):
            raise InputError(
                f"The data {name!r} has {len(names)} classes, but {split.origins[int(split.target.argmax())]} "
                f"is of class {split.target.max()}: correct its labels."
            )
    if train.named and test.named and names != test.class_names:
        raise InputError(
            f"The data {name!r} names its classes {', '.join(names[:5])}, ... for training but "
            f"{', '.join(test.class_names[:5])}, ... for testing: make them equal."
        )
    return names


def _decode_splits(train: EncodedSplit, test: EncodedSplit) -> dict[str, Images]:
    arrays = {"train": _decode(train), "test": _decode(test)}
    # One grey image among colour ones, or the reverse, makes the whole set colour.
    colour = any(array.ndim == 3 for split in arrays.values() for array in split)
    stacked = {key: _stack(split, colour) for key, split in arrays.items()}
    first = train.origins[0], arrays["train"][0].shape[:2]
    for key, split in (("train", train), ("test", test)):
        for array, origin in zip(arrays[key], split.origins, strict=True):
            if array.shape[:2] != first[1]:
                raise InputError(
                    f"Images must all have one size, but {origin} is {array.shape[0]}x{array.shape[1]} and {first[0]} "
                    f"is {first[1][0]}x{first[1][1]}: resize them first."
                )
    return {key: np.stack(images) for key, images in stacked.items()}


def _decode(split: EncodedSplit) -> list[Images]:
    from PIL import Image

    images = []
    for encoded, origin in zip(split.images, split.origins, strict=True):
        try:
            with Image.open(io.BytesIO(encoded)) as image:
                if image.mode[0] in "IF":
                    raise InputError(f"{origin} has more than 8 bits per channel: save it with 8 bits.")
                images.append(np.asarray(image if image.mode == "L" else image.convert(_plain_mode(image.mode))))
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise many kinds
            raise InputError(f"{origin} cannot be decoded as an image: replace it or remove it.") from error
    return images


def _plain_mode(mode: str) -> str:
    return "L" if mode in ("1", "LA", "La") else "RGB"


def _stack(images: list[Images], colour: bool) -> list[Images]:
    return [
        np.repeat(i[..., None], 3, axis=2) if colour and i.ndim == 2 else i.reshape(*i.shape[:2], -1) for i in images
    ]


def _read_cache(folder: Path, train: EncodedSplit, test: EncodedSplit) -> list[Images] | None:
    """The arrays mapped into memory, shared between processes; None where they are missing or damaged."""
    try:
        images = [np.load(folder / f"{part}.npy", mmap_mode="c") for part in ("train", "test")]
    except (OSError, ValueError, EOFError):
        return None
    sizes = [len(array) for array in images]
    return images if sizes == [len(train.target), len(test.target)] else None


def _write_cache(folder: Path, arrays: dict[str, Images]) -> None:
    """A complete folder appears at once, in place of a damaged one: it is written beside and renamed."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            for key, array in arrays.items():
                np.save(beside / f"{key}.npy", array)
            beside.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)  # what is there could not be read
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        if folder.is_dir():  # another process was first
            return
        raise RunError(
            f"The decoded images cannot be kept in {str(folder.parent)!r} ({error.strerror}): free space there, or "
            "name another folder in the environment variable OSAKD_CACHE."
        ) from error
