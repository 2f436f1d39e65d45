"""Parquet files, and tables of the Hugging Face hub: images as encoded bytes, classes as whole numbers or names.

The column of the image and that of the class are told by name or declared type, never by a guess.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from osakd.data.classes import clean_name, listed
from osakd.data.encoded import EncodedSplit, Label, OnDemand, read_file
from osakd.data.options import ImageOptions
from osakd.errors import InputError
from osakd.read_json import load_json

Table = Any  # pyarrow.Table; pyarrow comes without type hints

LABEL_NAMES = {"label", "labels", "class", "classes", "class_name", "class_label", "class_id", "category"} | {
    "target",
    "targets",
    "fine_label",
    "coarse_label",
}
"""Names of a class column, in lower case; docs/data.md lists them."""
_IMAGE_NAMES = {"image", "images", "img", "imgs", "picture", "photo", "image_bytes", "jpg", "jpeg", "png"}


def read_parquet(files: Sequence[Path], options: ImageOptions) -> EncodedSplit:
    """The images of a split in one or several files.

    Raises:
        InputError: a corrupted file, files of other columns, types or classes than the first, or as
            ``split_from_table``.
    """
    tables = [_read(path) for path in files]
    splits = [
        split_from_table(table, str(path), options, path.parents[:3]) for table, path in zip(tables, files, strict=True)
    ]
    names = next((split.names for split in splits if split.names), None)
    first = _described(tables[0], options, files[0])
    for table, split, path in zip(tables, splits, files, strict=True):
        described = _described(table, options, path)
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
        OnDemand(
            lambda place: place[0][place[1]], [(part.images, row) for part in splits for row in range(len(part.labels))]
        ),
        [label for split in splits for label in split.labels],
        [origin for split in splits for origin in split.origins],
        names,
    )


def split_from_table(
    table: Table, origin: str, options: ImageOptions, folders: Sequence[Path] = (Path(),)
) -> EncodedSplit:
    """The images and labels of a table with the hub's features, whose paths are relative to one of the folders.

    Raises:
        InputError: unclear columns, missing labels; missing images, when they are read.
    """
    features = _features(table)
    image_column, label_column = choose_columns(table, features, options, origin)
    column = table.column(image_column)
    origins = [f"{origin}, row {row}" for row in range(len(column))]

    def read(row: int) -> bytes:
        value = column[row].as_py()
        content, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        if not content and path:
            files = [folder / path for folder in folders]
            found = next((file for file in files if os.path.isfile(file)), None)  # noqa: PTH113 - is_file may raise
            if found is None:
                raise InputError(f"{origins[row]} names the image {path!r}, which does not exist: bring it back.")
            content = read_file(found)
        if not content:
            raise InputError(f"{origins[row]} holds no image: remove the row, or embed the image's bytes.")
        return content

    names = features.get(label_column, {}).get("names")
    labels = read_labels(table.column(label_column), label_column, origin)
    return EncodedSplit(OnDemand(read, range(len(column))), labels, origins, tuple(map(str, names)) if names else None)


def _read(path: Path) -> Table:
    try:
        if not path.is_file():
            raise OSError("it is not a file")
        table = pq.read_table(path)
        table.validate(full=True)  # its texts are UTF-8
        str(table.schema)  # and so are the names of its columns
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The Parquet file {str(path)!r} cannot be read ({str(error).splitlines()[0]}): fetch it again."
        ) from error
    return table


def _described(table: Table, options: ImageOptions, path: Path) -> str:
    """The columns that are read, and the kind of labels."""
    image, label = choose_columns(table, _features(table), options, str(path))
    kind = table.schema.field(label).type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return f"the image column {image!r} and the class column {label!r} of {'whole numbers' if number else 'names'}"


def _features(table: Table) -> dict[str, Any]:
    """The hub's description of the columns; none where it is missing or not what the hub writes."""
    try:
        features = dict(load_json((table.schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


def choose_columns(table: Table, features: Mapping[str, Any], options: ImageOptions, origin: str) -> tuple[str, str]:
    """The names of the image column and of the class column.

    A column holds the class if its type says so (``ClassLabel``), or its name and its type fit; the image likewise, or
    if it is the only one that can hold images. ``--image-column`` and ``--label-column`` decide otherwise.

    Raises:
        InputError: no column fits, several do, or the one that the user names is missing or of another type.
    """
    kinds = {name: table.schema.field(name).type for name in table.column_names}

    def columns(can_hold: Callable[[Any], bool], declared: str, names: Set[str]) -> tuple[list[str], list[str]]:
        """The columns of fitting types, and those of them that are declared or named as such."""
        able = [name for name, kind in kinds.items() if can_hold(kind)]
        types = {name: features.get(name, {}).get("_type") for name in able}
        return able, [name for name in able if types[name] == declared or name.lower() in names]

    able, known = columns(_can_hold_images, "Image", _IMAGE_NAMES)
    image = _choose("image", "encoded bytes", options.image_column, known or able, able, kinds, origin)
    able, known = columns(_can_hold_classes, "ClassLabel", LABEL_NAMES)
    words = "whole numbers, text or true and false"
    return image, _choose("label", words, options.label_column, known, able, kinds, origin)


def read_labels(column: Any, name: str, origin: str) -> list[Label]:
    """The labels of a column: whole numbers of at least 0, or names; an InputError for anything else."""
    labels: list[Label] = []
    for row, value in enumerate(column.to_pylist()):
        if isinstance(value, float) and not math.isnan(value) and not value.is_integer():
            raise InputError(
                f"The column {name!r} of {origin} holds {value} in row {row}, which is not a class: name a column of "
                "whole numbers or text with --label-column."
            )
        label = _label(value)
        if label is None:
            raise InputError(
                f"{origin} has images without a class (empty or below 0), the first in row {row} of the column "
                f"{name!r}: take a labelled split, or number the classes from 0."
            )
        labels.append(label)
    return labels


def _label(value: Any) -> Label | None:
    """A name, or a whole number of at least 0; None for a missing label."""
    if isinstance(value, str | bool):
        return clean_name(str(value)) or None
    if value is None or math.isnan(value) or value < 0:
        return None
    return int(value)


def _can_hold_images(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _can_hold_classes(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return text or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind)


def _choose(
    what: str,
    words: str,
    named: str | None,
    candidates: Sequence[str],
    able: Sequence[str],
    kinds: Mapping[str, Any],
    origin: str,
) -> str:
    columns = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
    if named is not None:
        if named in able:
            return named
        why = f"is of type {kinds[named]}" if named in kinds else "does not exist"
        raise InputError(
            f"The column {named!r} of {origin} {why}: --{what}-column needs one of {words}; the columns are {columns}."
        )
    if len(candidates) == 1:
        return candidates[0]
    several = f"several columns that may hold the {what}, {' and '.join(candidates)}"
    none = f"no column that is known to hold the {what}, by its name or its declared type"
    raise InputError(
        f"{origin} has {several if candidates else none}: name it with --{what}-column; the columns are {columns}."
    )
