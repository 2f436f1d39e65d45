"""Which column of a table holds the image and which the class: by name or declared type, never by a guess."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from osakd.data.classes import clean_name
from osakd.data.encoded import Label
from osakd.data.reading import Reading
from osakd.errors import InputError

Table = Any  # pyarrow.Table; pyarrow comes without type hints

LABEL_NAMES = {"label", "labels", "class", "classes", "class_name", "class_label", "class_id", "category"} | {
    "target",
    "targets",
    "fine_label",
    "coarse_label",
}
"""Names of a class column, in lower case; docs/data.md lists them."""
_IMAGE_NAMES = {"image", "images", "img", "imgs", "picture", "photo", "image_bytes", "jpg", "jpeg", "png"}


def choose_columns(table: Table, features: Mapping[str, Any], reading: Reading, origin: str) -> tuple[str, str]:
    """The names of the image column and of the class column.

    A column holds the class if its type says so (``ClassLabel``), or its name and its type fit; the image likewise, or
    if it is the only one that can hold images. ``--image-column`` and ``--label-column`` decide otherwise.

    Args:
        table: the table.
        features: the hub's description of the columns, by name.
        reading: the columns that the user names.
        origin: name of the table in messages.

    Raises:
        InputError: no column fits, several do, or the one that the user names is missing or of another type.
    """
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    able = [name for name, kind in kinds.items() if _can_hold_images(kind)]
    declared = [name for name in able if features.get(name, {}).get("_type") == "Image"]
    by_name = [name for name in able if name.lower() in _IMAGE_NAMES]
    images = [name for name in able if name in declared or name in by_name] or able
    labels = [
        name
        for name, kind in kinds.items()
        if _can_hold_classes(kind)
        and (features.get(name, {}).get("_type") == "ClassLabel" or name.lower() in LABEL_NAMES)
    ]
    image = _one("image", "encoded bytes", reading.image_column, images, able, kinds, origin)
    able = [name for name, kind in kinds.items() if _can_hold_classes(kind)]
    words = "whole numbers, text or true and false"
    return image, _one("label", words, reading.label_column, labels, able, kinds, origin)


def read_labels(column: Any, name: str, origin: str) -> list[Label]:
    """The labels of a column: whole numbers of at least 0, or names.

    Raises:
        InputError: a label is missing, below 0, or not a whole number.
    """
    labels: list[Label] = []
    for row, value in enumerate(column.to_pylist()):
        if isinstance(value, float) and not math.isnan(value) and not value.is_integer():
            raise InputError(
                f"The column {name!r} of {origin} holds {value} in row {row}, which is no class: name a column of "
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


def _one(
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
