"""What an executor is: it runs the steps of one method, or of many replicas, and hides how."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osakd.data.augment import crop_and_flip
from osakd.engine.evaluate import DeviceSplit, to_floats


class EpochOutcome(NamedTuple):
    """What an epoch leaves of a replica: the mean of every part of its loss, and its first non-finite step, if any."""

    parts: dict[str, float]
    first_bad_step: int | None


class TrainingImages:
    """The training images of one or several seeds on their device, and how each is augmented in this epoch.

    Args:
        splits: the data of each seed by name.
        reflect: what lies outside of a cropped image is its mirror image, else black.
    """

    def __init__(self, splits: Sequence[dict[str, DeviceSplit]], reflect: bool) -> None:
        self.splits, self.reflect = splits, reflect
        self.drawn: Tensor | None = None

    def draw(self, drawn: Sequence[NDArray[np.int64]] | None) -> None:
        """Takes what was drawn for an epoch, for each seed ``[m, 3]``; in place, since a captured step reads it."""
        if drawn is None:
            self.drawn = None
            return
        found = torch.from_numpy(np.stack(drawn)).to(self.splits[0]["train"].target.device)
        self.drawn = found if self.drawn is None else self.drawn.copy_(found)

    def take(self, seed: int, rows: Tensor) -> Tensor:
        """Float images of these rows of a seed's training set ``[n, channels, h, w]``."""
        images = self.splits[seed]["train"].images
        if self.drawn is None:
            return to_floats(images.index_select(0, rows))
        drawn = self.drawn[seed].index_select(0, rows)
        return to_floats(crop_and_flip(images, rows, drawn, reflect=self.reflect))


class Executor(Protocol):
    """Everything is a list with one entry per replica."""

    def run_epoch(
        self,
        orders: Sequence[NDArray[np.int64]],
        *,
        rate: float,
        first_step: int,
        on_step: Callable[[int], None],
        drawn: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[EpochOutcome]:
        """One pass over the training set.

        Args:
            orders: rows of the training set, ``[m]``.
            drawn: how each sample is augmented, see ``data.augment.draw``, ``[m, 3]``; None: not at all.
            rate: the learning rate.
            first_step: steps taken before this epoch.
            on_step: called before each step with its number within the epoch; it may raise to stop.
        """
        ...

    def scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores of everything that is evaluated, by name, on a split; the deployed network's first."""
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
