"""What an executor is: it runs the steps of one method, or of many replicas, and hides how."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn


class EpochOutcome(NamedTuple):
    """What an epoch leaves of a replica: the mean of every part of its loss, and its first non-finite step, if any."""

    parts: dict[str, float]
    first_bad_step: int | None


class Executor(Protocol):
    """Everything is a list with one entry per replica."""

    def run_epoch(
        self, orders: Sequence[NDArray[np.int64]], *, rate: float, first_step: int, on_step: Callable[[int], None]
    ) -> list[EpochOutcome]:
        """One pass over the training set.

        Args:
            orders: rows of the training set, ``[m]``.
            rate: the learning rate.
            first_step: steps taken before this epoch.
            on_step: called before each step with its number within the epoch; it may raise to stop.
        """
        ...

    def scores(self, split: str) -> list[dict[str, float]]:
        """The scores of the deployed networks on a split."""
        ...

    def states(self) -> list[dict[str, Any]]:
        """What a checkpoint holds: ``method`` and ``optimizer`` state dicts, the same for every executor."""
        ...

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Goes on from these states."""
        ...

    def deployed(self) -> list[nn.Module]:
        """The deployed networks, each by itself."""
        ...
