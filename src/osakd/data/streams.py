"""The random streams of a run: equal on every device, executor and torch version.

Each draw is keyed by (seed, stage, epoch) and by what it is for, with NumPy's Philox, a counter-based generator; only
its raw 64-bit output is used, which NumPy keeps stable across versions.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Stream = Literal["init", "order", "augmentation", "noise", "split", "mixing", "policy"]
_PER_STAGE = 5
_NUMBER: dict[Stream, int] = {"init": 0, "order": 1, "augmentation": 2, "noise": 3, "split": 4}
_NUMBER |= {"mixing": 2**32, "policy": 2**33}  # later ones: the keys of the first five stay as they were


def raw(count: int, *, seed: int, stage: int, stream: Stream, epoch: int) -> NDArray[np.uint64]:
    """``count`` uniform 64-bit integers of an independent stream.

    The seed is 0 to 2^64 - 1; the last stage of a method has the key 0.
    """
    key = np.array([seed, stage * _PER_STAGE + _NUMBER[stream]], dtype=np.uint64)
    counter = np.array([0, 0, 0, epoch], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count)


def permutation(count: int, *, seed: int, stage: int, stream: Stream, epoch: int) -> NDArray[np.int64]:
    """The numbers 0 to ``count - 1`` in random order, ``[count]``."""
    return np.argsort(raw(count, seed=seed, stage=stage, stream=stream, epoch=epoch), kind="stable")


def torch_seed(*, seed: int, stage: int, stream: Stream, epoch: int) -> int:
    """A seed for torch's own generator, 0 to 2^63 - 1."""
    return int(raw(1, seed=seed, stage=stage, stream=stream, epoch=epoch)[0] >> np.uint64(1))
