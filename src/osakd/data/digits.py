"""The digits that come with scikit-learn, read without importing it, which takes longer than training on them."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osakd.errors import InputError

_FILE, _TRAIN = "datasets/data/digits.csv.gz", 600


def read_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All images ``[1797, 8, 8]`` and classes, and the rows of 600 training images and of the test images.

    The rows are those of ``train_test_split(..., train_size=600, stratify=classes, random_state=0)``.
    """
    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise InputError("The data 'digits' come with scikit-learn, which is not installed: pip install scikit-learn.")
    with gzip.open(Path(found.submodule_search_locations[0]) / _FILE) as file:
        table = np.loadtxt(file, delimiter=",")
    classes = table[:, -1].astype(np.int64)
    generator = np.random.RandomState(0)
    counts = np.bincount(classes)
    in_train = _nearest(counts, _TRAIN, generator)
    _nearest(counts - in_train, len(classes) - _TRAIN, generator)  # draws what train_test_split draws
    orders = [generator.permutation(np.flatnonzero(classes == label)) for label in range(len(counts))]
    train = [row for order, count in zip(orders, in_train, strict=True) for row in order[:count]]
    test = [row for order, count in zip(orders, in_train, strict=True) for row in order[count:]]
    images = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return images, classes, generator.permutation(train), generator.permutation(test)


def _nearest(counts: NDArray[np.int64], total: int, generator: np.random.RandomState) -> NDArray[np.int64]:
    """So many of each class that they are ``total`` in shares near those of the classes; chance decides ties."""
    shares = counts / counts.sum() * total
    taken = np.floor(shares)
    rest = shares - taken
    for value in np.unique(rest)[::-1]:
        missing = int(total - taken.sum())
        if missing:
            (tied,) = np.nonzero(rest == value)
            taken[generator.choice(tied, min(len(tied), missing), replace=False)] += 1
    return taken.astype(np.int64)
