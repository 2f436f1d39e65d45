"""What an executor is: it runs the training steps of one run, or of many, behind one interface."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from osakd.engine.evaluate import DeviceSplit
from osakd.methods.base import Method
from osakd.records import RunConfig


class UnsupportedError(Exception):
    """An executor cannot run this network or this precision; the message says why, to follow "since"."""


Splits = dict[str, DeviceSplit]
"""The data of a run on its device, by name: ``train``, ``test``, ``validation``."""


@dataclass(frozen=True)
class Replicas:
    """The methods of runs that are trained together, and their data.

    Attributes:
        methods: one per replica, the replicas of one seed side by side, each seed with the same number of them.
        splits: the data of each seed; seeds may share them.
        config: how they are trained; their configurations differ in method, settings and seed alone.
        keys: what the method of each replica is; the losses of replicas with equal keys are computed together.
    """

    methods: Sequence[Method]
    splits: Sequence[Splits]
    config: RunConfig
    keys: Sequence[str] = ("",)

    @property
    def device(self) -> torch.device:
        """The device of the data."""
        return self.splits[0]["train"].target.device

    def copied(self) -> "Replicas":
        """The same replicas with copies of the methods, for a trial that changes them."""
        return replace(self, methods=copy.deepcopy(list(self.methods)))

    def part(self, numbers: Sequence[int]) -> "Replicas":
        """Some of the replicas: those of whole seeds, or several of one seed."""
        per_seed = len(self.methods) // len(self.splits)
        seeds = list(dict.fromkeys(number // per_seed for number in numbers))
        return replace(
            self,
            methods=[self.methods[number] for number in numbers],
            splits=[self.splits[seed] for seed in seeds],
            keys=[self.keys[number] for number in numbers],
        )


class EpochOutcome(NamedTuple):
    """The outcome of an epoch for one replica: the mean of each part of its loss, and the first non-finite step."""

    parts: dict[str, float]
    first_bad_step: int | None


class Executor(Protocol):
    """Runs the epochs of its replicas. Every list has one entry per replica.

    Attributes:
        splits: the data of each seed.
        replicas: number of replicas.
        config: how they are trained.
    """

    splits: list[Splits]
    replicas: int
    config: RunConfig

    def run_epoch(
        self,
        orders: Sequence[NDArray[np.int64]],
        *,
        rate: float,
        first_step: int,
        on_step: Callable[[int], None],
        drawn: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[EpochOutcome]:
        """Makes one pass over the training set.

        Args:
            orders: indices of the training images in their order, ``[m]``.
            rate: the learning rate.
            first_step: number of steps taken before this epoch.
            on_step: called before each step with its number within the epoch; it may raise to stop.
            drawn: how each image is augmented, see ``data.augment.draw``, ``[m, 3]``; None: not at all.
        """
        ...

    def scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores on a split of everything that is evaluated, by name; the deployed network comes first."""
        ...

    def states(self) -> list[dict[str, Any]]:
        """The ``method`` and ``optimizer`` state dicts for a checkpoint; they are the same for every executor."""
        ...

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Loads states that ``states`` of any executor returned."""
        ...

    def deployed(self) -> list[nn.Module]:
        """The deployed networks."""
        ...
