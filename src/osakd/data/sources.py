"""Loading a data set: scikit-learn's digits, the Hugging Face hub, a folder of Parquet files, a folder of images.

``docs/data.md`` says which layouts are read, how classes are made, and what is refused.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from osakd.data.arrays import DataArrays, Labels, Split, content_hash, in_channels
from osakd.data.cache import cached
from osakd.data.classes import number_classes
from osakd.data.decode import RULES, Decoded, check_size, resized
from osakd.data.digits import read_digits
from osakd.data.encoded import EncodedSplit, Source
from osakd.data.find import find_data, remember
from osakd.data.folders import folder_source
from osakd.data.hub import hub_source
from osakd.data.options import ImageOptions
from osakd.data.stratified import draw_share
from osakd.errors import InputError
from osakd.paths import given_path

_KEY_OF_TEST_SPLIT = 2  # of the random order; 0 and 1 are those of `validation` and `fraction`


def load_data(data: str, options: ImageOptions = ImageOptions()) -> DataArrays:
    """Every image of a data set, decoded; the decoded arrays are cached under the hash of their content.

    Args:
        data: a name of ``DATA``, a local folder, or a data set on the Hugging Face hub, ``owner/name`` or
            ``owner/name:config``.
        options: how to read it, where the data do not say it.

    Raises:
        InputError: an unknown name, a folder that cannot be read, a corrupted file (it is named), unclear columns,
            fewer than two classes, or no test split.
        RunError: the hub cannot be reached.
    """
    if data == "digits":
        return _digits(options)
    name, kind, source = _find(data, options)
    arrays = _assembled(name, kind, source, options, *_train_and_test(name, source, options))
    if arrays.num_classes < 2:
        raise InputError(
            f"The data {name!r} has one class, {arrays.class_names[0]!r}: at least two are needed; in a folder of "
            "images, each class is a folder of its split."
        )
    if kind == "folder":
        remember(given_path(data), options, arrays.content)
    return arrays


def load_test(data: str, options: ImageOptions = ImageOptions(), *, trained_on: str = "") -> DataArrays:
    """The test images of a data set, which may have no others; the training split is empty.

    Images without a split are all taken. If the run that was ``trained_on`` data of that content made its test split
    from them (``test_fraction``), only that one is.

    Raises:
        InputError: see ``load_data``; the data have a training split only.
        RunError: the hub cannot be reached.
    """
    if data == "digits":
        return _digits(options)
    name, kind, source = _find(data, options)
    if source.test_kind is None and options.test_fraction:
        arrays = _assembled(name, kind, source, options, *_train_and_test(name, source, options))
        if arrays.content == trained_on:
            return arrays
    test = source.test_kind or ("whole" if "whole" in source.splits else None)
    if test is None:
        raise InputError(f"The data {source.data!r} has no test split ({source.described}): {source.remedy}.")
    return _assembled(name, kind, source, options, None, source.read(test))


def _find(data: str, options: ImageOptions) -> tuple[str, str, Source]:
    """The name of a data set in records, its kind, and its splits."""
    kind, folder, hub, config = find_data(data)
    if folder is not None:
        return folder.resolve().name, kind, folder_source(folder, options)
    return data, kind, hub_source(hub, config, options)


def _train_and_test(name: str, source: Source, options: ImageOptions) -> tuple[EncodedSplit, EncodedSplit]:
    """The data's own splits, or a fixed, stratified share of every class as the test split."""
    train = next((kind for kind in ("train", "whole") if kind in source.splits), None)
    if train is None:
        raise InputError(f"The data {source.data!r} has no training split ({source.described}): {source.remedy}.")
    if source.test_kind and options.test_fraction:
        raise InputError(
            f"The data {source.data!r} has a test split ({source.names[source.test_kind]}): leave `test_fraction` out."
        )
    if source.test_kind:
        return source.read(train), source.read(source.test_kind)
    if not options.test_fraction:
        offer = "" if "--test-fraction" in source.remedy else ", or make one of each class with --test-fraction 0.2"
        raise InputError(f"The data {source.data!r} has no test split ({source.described}): {source.remedy}{offer}.")
    whole = source.read(train)
    _refuse_empty(name, [whole])
    classes = number_classes(name, whole)
    drawn = draw_share(
        classes.targets[0],
        classes.names,
        options.test_fraction,
        option="test_fraction",
        seed=0,
        epoch=_KEY_OF_TEST_SPLIT,
        leave_one=True,
    )
    rows = _with_copies(whole.keys, drawn, classes.targets[0])
    return whole.take(np.setdiff1d(np.arange(len(whole.labels)), rows).tolist()), whole.take(rows.tolist())


def _with_copies(keys: Sequence[bytes], rows: Labels, target: Labels) -> Labels:
    """The rows of a test split where copies of an image are on one side: that of their first.

    Copies stay in the training split where a class would have no other images there.
    """
    first: dict[bytes, int] = {}
    firsts = np.array([first.setdefault(key, row) for row, key in enumerate(keys)])
    in_test = np.isin(firsts, rows)
    return np.flatnonzero(in_test & np.isin(target, target[~in_test]))


def _copy_notes(splits: Sequence[EncodedSplit], targets: Sequence[Labels]) -> list[str]:
    """What is wrong with images that are there more than once."""
    classes: dict[bytes, set[int]] = {}
    for split, target in zip(splits, targets, strict=True):
        for key, label in zip(split.keys, target.tolist(), strict=True):
            classes.setdefault(key, set()).add(label)
    test, trained_on = splits[-1], set(splits[0].keys) if len(splits) > 1 else set()
    copies = [row for row, key in enumerate(test.keys) if key in trained_on]
    torn = [row for row, key in enumerate(splits[0].keys) if len(classes[key]) > 1]
    notes = []
    if copies:
        notes.append(
            f"Warning: {len(copies):,} of {len(test.keys):,} test images are training images too, such as "
            f"{_short(test.origins[copies[0]])}: their scores say nothing of new images."
        )
    if torn:
        notes.append(
            f"Warning: {sum(len(found) > 1 for found in classes.values()):,} images are in several classes, such as "
            f"{_short(splits[0].origins[torn[0]])}: look at their labels."
        )
    return notes


def _short(origin: str) -> str:
    """The end of a path, which says enough."""
    return "/".join(Path(origin).parts[-3:])


def _assembled(
    name: str, kind: str, source: Source, options: ImageOptions, train: EncodedSplit | None, test: EncodedSplit
) -> DataArrays:
    encoded = [split for split in (train, test) if split is not None]
    _refuse_empty(name, encoded)
    classes = number_classes(name, encoded[0], *encoded[1:])
    decoded = [cached(split, options.resize) for split in encoded]
    for images, split in zip(decoded, encoded, strict=True):
        check_size(images.images.shape[1:], split.origins[0], decoded[0].images.shape[1:], encoded[0].origins[0])
    channels = max(images.images.shape[-1] for images in decoded)  # one colour image makes all of them colour
    splits = [
        Split(in_channels(images.images, channels), target)
        for images, target in zip(decoded, classes.targets, strict=True)
    ]
    content = content_hash(*((split.images, target) for split, target in zip(encoded, classes.targets, strict=True)))
    return DataArrays(
        name=name,
        kind=kind,
        content=_content(content, options, decoded),
        class_names=classes.names,
        train=splits[0] if train is not None else splits[-1].take(np.arange(0)),
        test=splits[-1],
        notes=(*source.notes, *classes.notes, *_copy_notes(encoded, classes.targets), *_notes(decoded)),
        test_files=test.origins,
        options=options,
    )


def _digits(options: ImageOptions) -> DataArrays:
    """600 fixed, stratified training images and 1,197 test images."""
    from PIL import Image

    for option in ("test_fraction", "label_column", "image_column"):
        if getattr(options, option):
            raise InputError(f"The data 'digits' has splits and classes already: leave `{option}` out.")
    pictures, classes, train, test = read_digits()
    images = pictures[..., None]
    content = content_hash(*(([images[rows].tobytes()], classes[rows]) for rows in (train, test)))
    if options.resize:
        resized_images = [resized(Image.fromarray(picture), options.resize) for picture in pictures]
        images = np.stack([np.asarray(image) for image in resized_images])[..., None]
    return DataArrays(
        name="digits",
        kind="named",
        content=_content(content, options, []),
        class_names=tuple("0123456789"),
        train=Split(images[train], classes[train]),
        test=Split(images[test], classes[test]),
        options=options,
    )


def _refuse_empty(name: str, splits: Sequence[EncodedSplit]) -> None:
    if not all(split.images for split in splits):
        raise InputError(f"The data {name!r} has an empty split: both train and test need images.")


def _content(encoded: str, options: ImageOptions, decoded: Sequence[Decoded]) -> str:
    """The hash of the encoded images; another one where decoding changed their pixels or their size."""
    changed = any(images.rotated or images.composited for images in decoded)
    if not changed and options.resize is None:
        return encoded
    return hashlib.sha256(f"{encoded} {options.resize} {RULES}".encode()).hexdigest()[:16]


def _notes(decoded: Sequence[Decoded]) -> list[str]:
    rotated, composited = (sum(getattr(images, key) for images in decoded) for key in ("rotated", "composited"))
    notes = [f"Images rotated by their EXIF orientation: {rotated:,}."] if rotated else []
    return notes + ([f"Images with transparency, put on white: {composited:,}."] if composited else [])
