"""Fixed shares of every class: the part of the training set that is used, a validation split, a test split."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from osakd.data.streams import permutation
from osakd.errors import InputError


def draw_share(
    target: NDArray[np.int64],
    class_names: Sequence[str],
    share: float,
    *,
    option: str,
    seed: int,
    epoch: int,
    leave_one: bool,
) -> NDArray[np.int64]:
    """The rows of a share of each class, in order; each class with images gives at least one.

    The random order is keyed by seed and epoch, which each option has of its own. If ``leave_one``, each class also
    keeps at least one image on the other side.

    Raises:
        InputError: the share is less than one image of the largest class, or a class has too few images for two sides.
    """
    order = permutation(len(target), seed=seed, stage=0, stream="split", epoch=epoch)
    by_class = [order[target[order] == label] for label in range(len(class_names))]
    counts = [round(share * len(rows)) for rows in by_class]
    if not any(counts):
        raise InputError(
            f"A `{option}` share of {share} of {len(target)} images leaves one side empty: take another share."
        )
    for label, rows in enumerate(by_class):
        if leave_one and len(rows) == 1:
            raise InputError(
                f"The class {class_names[label]!r} has a single image here, and `{option}` needs one on each side: "
                f"add images of it, or leave `{option}` out."
            )
        most = len(rows) - 1 if leave_one else len(rows)
        counts[label] = min(max(counts[label], 1), most) if len(rows) else 0
    return np.sort(np.concatenate([rows[:count] for rows, count in zip(by_class, counts, strict=True)]))
