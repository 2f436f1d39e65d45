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
from osakd.engine.optim import Groups
from osakd.methods.base import Method


class UnsupportedError(Exception):
    """An executor cannot run this network or this precision; the message says why, to follow "since"."""


Splits = dict[str, DeviceSplit]
"""The data of a run on its device, by name: ``train``, ``test``, ``validation``."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """What an executor must know of a configuration; it is the same for all replicas of a program.

    Attributes:
        optimizer: builds the optimizer of groups of parameters.
        batch_size: number of images per step and replica; a last batch of one image is dropped.
        total_steps: number of steps of the whole schedule, from which a step's progress is computed.
        max_grad_norm: largest gradient norm of each replica, above which gradients are clipped; None: they are not.
        precision: precision of the forward pass: ``float32``, ``tf32`` or ``bf16``.
        ema: decay of the exponential moving average of weights; None: they are not averaged.
        deploy_ema: deploy the averaged weights instead of the last ones.
        reflect: padding of random crops is a reflection of the image, else black.
        cuda_graph: capture the whole step once and replay it.
    """

    optimizer: Callable[[Groups], torch.optim.Optimizer]
    batch_size: int
    total_steps: int
    max_grad_norm: float | None = None
    precision: str = "float32"
    ema: float | None = None
    deploy_ema: bool = False
    reflect: bool = False
    cuda_graph: bool = False


@dataclass(frozen=True)
class Replicas:
    """The methods that one program trains, and their data.

    Attributes:
        methods: one per replica, the replicas of one seed side by side, each seed with the same number of them.
        splits: the data of each seed; seeds may share them.
        keys: what the method of each replica is; the losses of replicas with equal keys are computed together.
    """

    methods: Sequence[Method]
    splits: Sequence[Splits]
    keys: Sequence[str] = ("",)

    @property
    def device(self) -> torch.device:
        """The device of the data."""
        return self.splits[0]["train"].target.device

    def copied(self) -> "Replicas":
        """The same replicas with copies of the methods, for a trial that changes them."""
        return replace(self, methods=copy.deepcopy(list(self.methods)))

    def first(self) -> "Replicas":
        """The first replica alone."""
        return Replicas(self.methods[:1], self.splits[:1], self.keys[:1])


class EpochOutcome(NamedTuple):
    """The outcome of an epoch for one replica: the mean of each part of its loss, and the first non-finite step."""

    parts: dict[str, float]
    first_bad_step: int | None


class Executor(Protocol):
    """Runs the epochs of its replicas. Every list has one entry per replica.

    Attributes:
        splits: the data of each seed.
        replicas: number of replicas.
        spec: how they are trained.
    """

    splits: list[Splits]
    replicas: int
    spec: TrainingSpec

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
