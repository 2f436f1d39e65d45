"""Classes: from labels as the data have them to class indices and names; matching the classes of a network and of data.

Class indices have no gaps: only classes with training images are numbered, and they keep their names.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from osakd.data.arrays import Labels
from osakd.data.encoded import EncodedSplit, Label
from osakd.errors import InputError

MOST_LISTED = 10


class Classes(NamedTuple):
    """Names of the classes, the class indices of each split, and what the user should know of them."""

    names: tuple[str, ...]
    targets: list[Labels]
    notes: list[str]


def number_classes(data: str, first: EncodedSplit, *others: EncodedSplit) -> Classes:
    """Numbers the classes that the first split has images of; the other splits may have no further ones.

    Whole numbers are ordered as numbers, names alphabetically, names that the data declare as declared. The first split
    is the training split, or the only one.

    Raises:
        InputError: a label without a class, or splits whose class names differ.
    """
    declared = _declared(data, first, others)
    if declared is None:
        values: list[Label] = sorted(set(first.labels)) if _of_one_type(first) else sorted(set(map(str, first.labels)))
        names = tuple(map(str, values))
        by_value: dict[Label, int] = {}
    else:
        values = sorted({_checked(data, declared, first, row) for row in range(len(first.labels))})
        names = tuple(declared[int(value)] for value in values)
        by_value = {value: index for index, value in enumerate(values)}
    check_distinct(data, names)
    by_name = {name: index for index, name in enumerate(names)}
    targets = []
    for split in (first, *others):
        indices = [
            by_value.get(label) if declared is not None and isinstance(label, int) else by_name.get(str(label))
            for label in split.labels
        ]
        if None in indices:
            row = indices.index(None)
            raise InputError(
                f"The data {data!r} has {len(names)} classes, but {split.origins[row]} is of class "
                f"{_name_of(split.labels[row], declared)}, of which there is no training image: correct its label or "
                f"add such images (classes: {listed(names)})."
            )
        targets.append(np.array(indices, dtype=np.int64))
    return Classes(names, targets, _notes(data, values, names, declared))


def check_distinct(data: str, names: Sequence[str]) -> None:
    """Refuses, by an InputError, two classes of one name: nothing that names a class could tell them apart."""
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        numbers = " and ".join(str(number) for number, other in enumerate(names) if other == name)
        raise InputError(f"The classes {numbers} of {data!r} are all called {name!r}: give each a name of its own.")


def match_classes(known: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """The index of each named class among the known ones, None where it is not among them.

    Classes are matched by name. If all names are whole numbers, equal numbers match too, such as ``07`` and ``7``.
    """
    if list(known) == list(names):
        return list(range(len(known)))
    counts = Counter(known)
    by_name = {name: index for index, name in enumerate(known) if counts[name] == 1}
    numbers, asked = [_number(name) for name in known], [_number(name) for name in names]
    whole = None not in numbers and None not in asked
    if whole and len(set(numbers)) == len(numbers) and len(set(asked)) == len(asked):
        by_number = {number: index for index, number in enumerate(numbers)}
        return [by_number.get(number) for number in asked]
    return [by_name.get(name) for name in names]


def clean_name(name: str) -> str:
    """A class name as people read it: composed characters (NFC, as file systems differ), no spaces around it."""
    return unicodedata.normalize("NFC", name).strip()


def listed(names: Sequence[str]) -> str:
    """Names for a message; of many, the first ten and how many there are."""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def _declared(data: str, first: EncodedSplit, others: Sequence[EncodedSplit]) -> tuple[str, ...] | None:
    """The names that whole numbers stand for, if the data have them; splits must agree."""
    for split in others:
        if first.names and split.names and first.names != split.names:
            raise InputError(
                f"The data {data!r} names its classes {listed(first.names)} for training but {listed(split.names)} "
                "for testing: make them equal."
            )
    whole = all(isinstance(label, int) for label in first.labels)
    return next((split.names for split in (first, *others) if split.names), None) if whole else None


def _of_one_type(split: EncodedSplit) -> bool:
    return len({type(label) for label in split.labels}) == 1


def _checked(data: str, declared: tuple[str, ...], split: EncodedSplit, row: int) -> int:
    label = int(split.labels[row])
    if label >= len(declared):
        raise InputError(
            f"The data {data!r} names {len(declared)} classes, but {split.origins[row]} is of class {label} (counted "
            "from 0): correct its label."
        )
    return label


def _name_of(label: Label, declared: tuple[str, ...] | None) -> str:
    inside = declared is not None and isinstance(label, int) and label < len(declared)
    return repr(declared[label]) if inside else str(label)  # type: ignore[index] - inside says what they are


def _notes(data: str, values: list[Label], names: tuple[str, ...], declared: tuple[str, ...] | None) -> list[str]:
    if declared is not None:
        missing = [name for number, name in enumerate(declared) if number not in values]
        if not missing:
            return []
        counts = f"{len(missing)} of {len(declared)} classes of {data!r}"
        return [f"{counts} have no training images and are left out: {listed(missing)}."]
    if all(isinstance(value, int) for value in values) and values != list(range(len(values))):
        return [
            f"The labels of {data!r} are not 0 to {len(values) - 1}: {listed(names)}; they stay the names of the "
            f"{len(names)} classes, whose indices have no gaps."
        ]
    return []


def _number(name: str) -> int | None:
    return int(name) if name.isascii() and name.isdigit() else None
