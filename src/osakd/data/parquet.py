"""Folders of Parquet files in the Hugging Face hub's layout: images as encoded bytes, classes as integers."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from osakd.data.decode import EncodedSplit
from osakd.errors import InputError

Table = Any  # pyarrow.Table; pyarrow comes without type hints

TEST_NAMES = ("test", "valid", "validation", "val", "dev")
"""Names of a test split; the first one that exists is used."""
_FILE = re.compile(rf"(train|{'|'.join(TEST_NAMES)})(?![A-Za-z])")


def names_split(path: Path) -> str | None:
    """The split that a file's name, or its folder's, names."""
    named = _FILE.match(path.name) or _FILE.match(path.parent.name)
    return named[1] if named else None


def read_parquet_folder(folder: Path) -> tuple[EncodedSplit, EncodedSplit]:
    """The training and the test split of a folder; a validation split stands in for a missing test split.

    Raises:
        InputError: no file of a split, several configurations, a corrupted file, no image or class column.
    """
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.parquet")):
        split = names_split(path)
        if split:
            files.setdefault(split, []).append(path)
    test = next((name for name in TEST_NAMES if name in files), None)
    if "train" not in files or test is None:
        raise InputError(
            f"The Parquet files in {str(folder)!r} do not name a train and a test split: "
            "call them train-00000-of-00001.parquet and test-00000-of-00001.parquet."
        )
    homes = sorted({path.parent for path in files["train"]})
    if len(homes) > 1 and len({path.parent for path in files[test]}) > 1:
        raise InputError(
            f"{str(folder)!r} holds several data sets: give one of {', '.join(repr(str(home)) for home in homes)}."
        )
    return _read(files["train"]), _read(files[test])


def split_from_table(table: Table, origin: str) -> EncodedSplit:
    """The images and classes of an Arrow table with the hub's features in its schema's metadata.

    Args:
        table: an image column (a struct with ``bytes``) and a class column (integers).
        origin: name of the table in messages.

    Raises:
        InputError: a column is missing or empty, or a class is out of range.
    """
    features = _features(table)
    image_column = next((name for name in table.column_names if _is_image(table.schema.field(name).type)), None)
    label_column = _label_column(table, features)
    if image_column is None or label_column is None:
        raise InputError(
            f"{origin} has the columns {', '.join(table.column_names)}: an image column (with encoded bytes) and a "
            "class column (integers, called label) are needed."
        )
    rows = table.column(image_column).to_pylist()
    images: list[bytes] = [(row.get("bytes") if isinstance(row, dict) else row) or b"" for row in rows]
    origins = [f"{origin}, row {row}" for row in range(len(images))]
    if b"" in images:
        raise InputError(f"{origins[images.index(b'')]} holds no image: remove the row, or embed the image's bytes.")
    labels = np.asarray(table.column(label_column).to_pylist(), dtype=np.float64)
    if np.isnan(labels).any() or labels.min(initial=0) < 0:
        raise InputError(f"{origin} has images without a class (empty or below 0): take a labelled split.")
    largest = int(labels.max(initial=0))
    names = features.get(label_column, {}).get("names")
    if not names and largest >= max(len(images), 1000):
        raise InputError(f"{origin} has a class {largest} but only {len(images)} images: number the classes from 0.")
    numbers = tuple(map(str, range(largest + 1)))
    return EncodedSplit(
        images, labels.astype(np.int64), tuple(map(str, names)) if names else numbers, origins, named=bool(names)
    )


def _read(files: list[Path]) -> EncodedSplit:
    splits = []
    for path in files:
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"The Parquet file {str(path)!r} cannot be read ({str(error).splitlines()[0]}): fetch it again."
            ) from error
        splits.append(split_from_table(table, str(path)))
    return EncodedSplit(
        [image for split in splits for image in split.images],
        np.concatenate([split.target for split in splits]),
        max((split.class_names for split in splits), key=len),
        [origin for split in splits for origin in split.origins],
        named=any(split.named for split in splits),
    )


def _features(table: Table) -> dict[str, Any]:
    """The hub's description of the columns; none where it is missing or not what the hub writes."""
    try:
        return dict(json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}


def _is_image(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _label_column(table: Table, features: dict[str, Any]) -> str | None:
    integers = [name for name in table.column_names if pa.types.is_integer(table.schema.field(name).type)]
    class_labels = [name for name in integers if features.get(name, {}).get("_type") == "ClassLabel"]
    for name in ("label", "labels", *class_labels, "fine_label", "class"):
        if name in integers:
            return name
    return integers[0] if len(integers) == 1 else None
