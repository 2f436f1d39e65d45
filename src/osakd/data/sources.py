"""Where images come from: scikit-learn's digits, the Hugging Face hub, a folder of Parquet files, a folder of images.

Every source but the digits gives encoded images, which ``data.decode`` turns into arrays once.
"""

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from osakd.data.arrays import DataArrays, Split, content_hash
from osakd.data.decode import EncodedSplit, decoded
from osakd.data.parquet import TEST_NAMES, names_split, read_parquet_folder, split_from_table
from osakd.data.recipes import DATA
from osakd.errors import InputError, RunError, unknown_name

_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?")
_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}


def load_data(data: str) -> DataArrays:
    """Every image of a data set, decoded; the decoded arrays are cached under the hash of their content.

    Args:
        data: a name of ``DATA``, a local folder (Parquet files in the hub's layout, or ``train/class/name.png`` and
            ``test/class/name.png``), or a data set on the Hugging Face hub, ``owner/name`` or ``owner/name:config``.

    Raises:
        InputError: an unknown name, a missing or empty folder, a corrupted file (it is named), labels out of range.
        RunError: the hub cannot be reached.
    """
    if data == "digits":
        return _digits()
    if data in DATA:
        return decoded(data, "named", *_from_hub(str(DATA[data].hub), DATA[data].config))
    folder = Path(data).expanduser()
    if folder.is_dir():
        name = folder.resolve().name
        return decoded(name, "folder", *_from_folder(folder))
    if folder.exists():
        raise InputError(f"The data {data!r} is a file: give the folder that holds it.")
    hub = _HUB_ID.fullmatch(data)
    if hub and data[0] != ".":
        return decoded(data, "hub", *_from_hub(hub[1], hub[2]))
    if "/" in data or data.startswith("."):
        raise InputError(f"The data folder {data!r} does not exist: check the path.")
    raise unknown_name("data", data, DATA, "; or a local folder, or a hub id such as uoft-cs/cifar10")


def find_test_split(names: Iterable[str]) -> str | None:
    """The test split: the first of test, valid, validation, val, dev that exists."""
    known = set(names)
    return next((name for name in TEST_NAMES if name in known), None)


def _digits() -> DataArrays:
    """600 fixed, stratified training images and 1,197 test images."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch: Any = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    classes = bunch.target.astype(np.int64)
    rows = np.arange(len(classes))
    train, test = train_test_split(rows, train_size=600, stratify=classes, random_state=0)
    splits = Split(images[train], classes[train]), Split(images[test], classes[test])
    content = content_hash(*(([split.images.tobytes()], split.target) for split in splits))
    return DataArrays("digits", "named", content, tuple("0123456789"), *splits)


def _from_hub(hub_id: str, config: str | None) -> tuple[EncodedSplit, EncodedSplit]:
    try:
        import datasets
        from datasets.exceptions import DatasetNotFoundError
    except ImportError as error:
        raise InputError(
            "Loading from the Hugging Face hub needs the package `datasets`: pip install 'osakd[train]'."
        ) from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries; how they end is said below
    try:
        found: dict[str, Any] = dict(datasets.load_dataset(hub_id, config).items())  # type: ignore[union-attr] - of splits
    except (DatasetNotFoundError, ValueError) as error:
        raise InputError(
            f"{hub_id!r} is neither a folder here nor a data set on the Hugging Face hub ({_first_line(error)}): "
            "check the name; owner/name:config names one of several configurations."
        ) from error
    except Exception as error:  # the hub's client raises many kinds
        raise RunError(
            f"{hub_id!r} is not a folder here, and the Hugging Face hub could not be asked ({_first_line(error)}): "
            "check the name and the connection, or give the folder of its Parquet files."
        ) from error
    test = find_test_split(found)
    if "train" not in found or test is None:
        raise InputError(f"{hub_id!r} has the splits {', '.join(found)}: a train and a test split are needed.")
    # The Arrow table below the data set holds the images still encoded.
    splits = [split_from_table(found[name].with_format("arrow")[:], f"{hub_id}, {name}") for name in ("train", test)]
    return splits[0], splits[1]


def _from_folder(folder: Path) -> tuple[EncodedSplit, EncodedSplit]:
    splits = {path.name: path for path in folder.iterdir() if path.is_dir()}
    test = find_test_split(splits)
    tables = [path for path in folder.rglob("*.parquet") if names_split(path)]
    if not tables and "train" in splits and test is not None:
        class_names = tuple(sorted(path.name for path in _visible(splits["train"])))
        return _image_folder(splits["train"], class_names), _image_folder(splits[test], class_names)
    if tables or any(folder.rglob("*.parquet")):
        return read_parquet_folder(folder)
    raise InputError(
        f"The folder {str(folder)!r} holds neither Parquet files nor the folders train/ and test/: "
        "give one that has train/CLASS/NAME.png and test/CLASS/NAME.png."
    )


def _visible(folder: Path) -> list[Path]:
    """What a person sees in a folder, sorted; what a desktop or an editor hides there is no data."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _image_folder(folder: Path, class_names: tuple[str, ...]) -> EncodedSplit:
    paths: list[tuple[Path, int]] = []
    for home in _visible(folder):
        if not home.is_dir():
            raise InputError(f"{str(home)!r} lies in no class folder: move it into {folder}/CLASS/.")
        if home.name not in class_names:
            raise InputError(f"{str(home)!r} is a class that train/ does not have: remove it or add it there.")
        found = [
            path
            for path in sorted(home.rglob("*"))
            if path.suffix.lower() in _IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")
        ]
        if not found and folder.name == "train":
            raise InputError(f"The class folder {str(home)!r} holds no images: remove it, or put images there.")
        paths += [(path, class_names.index(home.name)) for path in found]
    if not paths:
        raise InputError(f"The folder {str(folder)!r} holds no images: it needs CLASS/NAME.png files.")
    labels = np.array([label for _, label in paths], dtype=np.int64)
    return EncodedSplit([path.read_bytes() for path, _ in paths], labels, class_names, [str(path) for path, _ in paths])


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
