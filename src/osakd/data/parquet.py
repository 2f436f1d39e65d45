"""Parquet files, and tables of the Hugging Face hub: images as encoded bytes, classes as whole numbers or names."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from osakd.data.classes import listed
from osakd.data.columns import Table, choose_columns, read_labels
from osakd.data.encoded import EncodedSplit
from osakd.data.reading import Reading
from osakd.errors import InputError


def read_parquet(files: Sequence[Path], reading: Reading) -> EncodedSplit:
    """The images of a split in one or several files.

    Raises:
        InputError: a corrupted file, files of other columns, types or classes than the first, or as
            ``split_from_table``.
    """
    tables = [_read(path) for path in files]
    splits = [split_from_table(table, str(path), reading) for table, path in zip(tables, files, strict=True)]
    names = next((split.names for split in splits if split.names), None)
    first = _described(tables[0], reading, files[0])
    for table, split, path in zip(tables, splits, files, strict=True):
        described = _described(table, reading, path)
        if described != first:
            raise InputError(
                f"{str(files[0])!r} has {first}, but {str(path)!r} has {described}: the files of a split must agree."
            )
        if split.names not in (None, names):
            raise InputError(
                f"The files of {str(files[0])!r} name their classes {listed(names or ())}, but {str(path)!r} names "
                f"them {listed(split.names or ())}: make them equal."
            )
    return EncodedSplit(
        [image for split in splits for image in split.images],
        [label for split in splits for label in split.labels],
        [origin for split in splits for origin in split.origins],
        names,
    )


def split_from_table(table: Table, origin: str, reading: Reading) -> EncodedSplit:
    """The images and labels of an Arrow table with the hub's features in its schema's metadata.

    Args:
        table: an image column (bytes, or a struct with ``bytes``) and a class column.
        origin: name of the table in messages.
        reading: the columns that the user names.

    Raises:
        InputError: the columns are not clear, or an image or a label is missing.
    """
    features = _features(table)
    image_column, label_column = choose_columns(table, features, reading, origin)
    rows = table.column(image_column).to_pylist()
    images: list[bytes] = [(row.get("bytes") if isinstance(row, dict) else row) or b"" for row in rows]
    origins = [f"{origin}, row {row}" for row in range(len(images))]
    if b"" in images:
        raise InputError(f"{origins[images.index(b'')]} holds no image: remove the row, or embed the image's bytes.")
    names = features.get(label_column, {}).get("names")
    labels = read_labels(table.column(label_column), label_column, origin)
    return EncodedSplit(images, labels, origins, tuple(map(str, names)) if names else None)


def _read(path: Path) -> Table:
    try:
        table = pq.read_table(path)
        table.validate(full=True)  # its texts are UTF-8
        str(table.schema)  # and so are the names of its columns
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The Parquet file {str(path)!r} cannot be read ({str(error).splitlines()[0]}): fetch it again."
        ) from error
    return table


def _described(table: Table, reading: Reading, path: Path) -> str:
    """The columns that are read, and the kind of labels."""
    image, label = choose_columns(table, _features(table), reading, str(path))
    kind = table.schema.field(label).type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return f"the image column {image!r} and the class column {label!r} of {'whole numbers' if number else 'names'}"


def _features(table: Table) -> dict[str, Any]:
    """The hub's description of the columns; none where it is missing or not what the hub writes."""
    try:
        features = dict(json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
