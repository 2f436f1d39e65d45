"""What an executor is: it runs the training steps of one run, or of many, step by step behind one interface."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osakd.data.augment import Draws, crop_and_flip, mix, mixed_targets
from osakd.data.policies import build_policy
from osakd.engine.averaging import WeightAverage, averaged_names, decay_of
from osakd.engine.best import AVERAGED
from osakd.engine.evaluate import DeviceSplit
from osakd.engine.executors.steps import CapturedSteps, Steps, steps_per_epoch
from osakd.engine.optim import Groups, Optimizer
from osakd.engine.state import checked
from osakd.errors import UnsupportedError
from osakd.methods.base import Method
from osakd.records import RunConfig

MOST_AT_ONCE = 500
"""Images are evaluated in batches of the training size, but at most so many."""
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
        notes: what a reader should know of how they were built.
    """

    methods: Sequence[Method]
    splits: Sequence[Splits]
    config: RunConfig
    keys: Sequence[str] = ("",)
    notes: Sequence[str] = ()

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


class LossGroup(NamedTuple):
    """Replicas of one method, whose losses are computed together.

    Attributes:
        names: names of the parts of their loss, in the order in which a step gives them, ``[parts, replicas]`` flat.
    """

    replicas: list[int]
    names: list[str]

    def outcomes(self, values: Tensor, shares: Tensor, finite_weights: Sequence[bool]) -> dict[int, EpochOutcome]:
        """The outcome of an epoch for each replica, by its number.

        Args:
            values: the values of each step ``[steps, parts * replicas]``.
            shares: share of each step in the epoch ``[steps]``.
            finite_weights: whether the weights of each replica of the executor are finite at the epoch's end.
        """
        table = values.double().unflatten(1, (len(self.names), -1))
        means = torch.einsum("spr,s->rp", table, shares).tolist()
        finite = torch.isfinite(table[:, self.names.index("total")]).tolist()
        outcomes = {}
        for number, replica in enumerate(self.replicas):
            # The last step may spoil the weights after its own loss was finite.
            spoilt = None if finite_weights[replica] else len(finite) - 1
            bad = next((step for step, fine in enumerate(finite) if not fine[number]), spoilt)
            outcomes[replica] = EpochOutcome(dict(zip(self.names, means[number], strict=True)), bad)
        return outcomes


class Executor(ABC):
    """Runs the epochs of its replicas step by step, eagerly or as replays of a captured step.

    Every list has one entry per replica.
    """

    def __init__(self, replicas: Replicas, groups: Groups, *, captured: bool) -> None:
        config = self.config = replicas.config
        self.splits, self.replicas = list(replicas.splits), len(replicas.methods)
        self.notes, self.drawn = list(replicas.notes), Draws()
        height, width = self.splits[0]["train"].images.shape[1:3]
        self.size = (height, width)
        if captured and config.augment:
            raise UnsupportedError("policies augment image by image, which cannot be captured")
        self.policy = build_policy(config.augment, self.size) if config.augment else None
        self.optimizer = Optimizer(config, groups, captured=captured)
        trained = [parameter for group in groups for parameter in group["params"]]
        per_epoch = steps_per_epoch(config.data["train"], config.batch_size)
        decay = config.ema if config.ema_epochs is None else decay_of(config.ema_epochs, per_epoch)
        self.average = None if decay is None else WeightAverage([*trained, *self._statistics()], decay)
        total_steps = config.epochs * per_epoch
        clock = {"batch_size": config.batch_size, "total_steps": total_steps}
        self.steps = CapturedSteps(self.step, self._state, **clock) if captured else Steps(self.step, **clock)

    def run_epoch(
        self,
        orders: Sequence[NDArray[np.int64]],
        *,
        rate: float,
        first_step: int,
        on_step: Callable[[int], None],
        drawn: Sequence[Draws] = (),
    ) -> list[EpochOutcome]:
        """Makes one pass over the training set in the given orders ``[m]``, after ``first_step`` earlier steps.

        ``on_step`` is called before each step with its number within the epoch, and may raise to stop. Images are not
        augmented without ``drawn``.
        """
        per_seed = self.replicas // len(self.splits)
        device = self.splits[0]["train"].target.device
        self._begin_epoch()
        self.optimizer.set_rate(rate)
        stacked = [
            None if values[0] is None else torch.from_numpy(np.stack(values)).to(device)
            for values in zip(*(drawn[::per_seed] or [Draws()]), strict=True)
        ]
        both = zip(self.drawn, stacked, strict=True)
        # In place, since a captured step reads them.
        self.drawn = Draws(*(new if old is None or new is None else old.copy_(new) for old, new in both))
        order = torch.from_numpy(np.stack(orders[::per_seed])).to(device)
        values, sizes = self.steps.run(order, first_step=first_step, on_step=on_step)
        finite_weights = self._finite_weights().tolist()
        shares = torch.tensor(sizes, dtype=torch.float64, device=values.device) / sum(sizes)
        groups = self._loss_groups()
        widths = [len(group.names) * len(group.replicas) for group in groups]
        outcomes: dict[int, EpochOutcome] = {}
        for group, part in zip(groups, values.split(widths, dim=1), strict=True):
            outcomes |= group.outcomes(part, shares, finite_weights)
        return [outcomes[number] for number in range(self.replicas)]

    @abstractmethod
    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images ``[seeds, n]`` of a batch; the parts of the losses of every loss group, flat.

        The number of steps taken and the share of the schedule that is done are 0-dim tensors.
        """

    def evaluation(self, split: str) -> dict[str, Any]:
        """How a split is evaluated: in batches of the training size at most, so that memory does not grow."""
        refined = split == "validation" and self.config.deploy == "best"
        return {"batch_size": min(MOST_AT_ONCE, self.config.batch_size), "refined": refined}

    def scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores on a split of everything that is evaluated, by name: first the network's, then its average's."""
        scores = self._scores(split)
        if self.average is None:
            return scores
        with self.average.swapped():
            averaged = [next(iter(by_name.values())) for by_name in self._scores(split)]
        return [_with_average(*of_replica) for of_replica in zip(scores, averaged, strict=True)]

    def states(self) -> list[dict[str, Any]]:
        """The ``method`` and ``optimizer`` state dicts for a checkpoint; they are the same for every executor."""
        states = self._states()
        if self.average is not None:
            with self.average.swapped():
                for state, method in zip(states, self._updated_methods(), strict=True):
                    trained = method.own_state()
                    names = [name for name in averaged_names(method) if name in trained]
                    state["averaged_steps"] = int(self.average.steps)
                    state["average"] = {name: trained[name].clone() for name in names}
            self._updated_methods()  # the states refer to their tensors
        return states

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Loads states that ``states`` of any executor returned; a ValueError for those of other runs."""
        now = zip(states, self._updated_methods(), self._states(), strict=True)
        states = [checked(state, method, own, self.config.optimizer) for state, method, own in now]
        if self.average is not None:
            self._load([state | {"method": state["method"] | state["average"]} for state in states])
            self.average.load(self.average.tensors, states[0]["averaged_steps"])
        self._load(states)
        self.steps.forget()

    def networks(self, *, averaged: bool) -> list[nn.Module]:
        """Copies of the networks, with their averaged weights or the present ones."""
        with self.average.swapped() if averaged and self.average is not None else nullcontext():
            networks = [copy.deepcopy(method.network) for method in self._updated_methods()]
        self._updated_methods()  # states that were taken refer to their tensors
        for module in (module for network in networks for module in network.modules()):
            vars(module).pop("forward", None)  # that of the native kernel
        return networks

    def _images(self, seed: int, index: Tensor) -> Tensor:
        """The images of 0 to 255 at these indices of a seed's training set ``[n, h, w, channels]``, augmented."""
        images, rows = self.splits[seed]["train"].images, index
        places, mixes, seeds = (None if each is None else each[seed].index_select(0, index) for each in self.drawn)
        if self.policy is not None and seeds is not None:
            images = self.policy(images.index_select(0, index), seeds)
            rows = torch.arange(len(images), device=index.device)
        if places is None:
            images = images.index_select(0, rows)
        else:
            images = crop_and_flip(images, rows, places, reflect=self.config.crop_padding == "reflect")
        return images if mixes is None else mix(images, mixes)

    def _target(self, seed: int, index: Tensor) -> Tensor:
        """The classes of these images ``[n]``; of mixed ones class probabilities ``[n, c]``."""
        target = self.splits[seed]["train"].target.index_select(0, index)
        if self.drawn.mixes is None:
            return target
        mixes = self.drawn.mixes[seed].index_select(0, index)
        return mixed_targets(target, mixes, self.size, len(self.config.data["class_counts"]))

    def _apply_gradients(self) -> None:
        """Updates the parameters, clears their gradients, and averages the weights."""
        self.optimizer.step()
        if self.average is not None:
            self.average.update()

    @abstractmethod
    def _scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores of the present weights."""

    @abstractmethod
    def _states(self) -> list[dict[str, Any]]:
        """``states`` without averages."""

    @abstractmethod
    def _load(self, states: Sequence[dict[str, Any]]) -> None:
        """Loads what ``_states`` returned."""

    @abstractmethod
    def _updated_methods(self) -> list[Method]:
        """The method of each replica with the present weights."""

    @abstractmethod
    def _statistics(self) -> list[Tensor]:
        """The running statistics of normalisation layers."""

    def _begin_epoch(self) -> None:  # noqa: B027 - a hook
        """Prepares the methods for training."""

    @abstractmethod
    def _loss_groups(self) -> list[LossGroup]:
        """What the values of a step are, in order; known after the first step."""

    @abstractmethod
    def _finite_weights(self) -> Tensor:
        """Whether the weights of each replica are finite ``[replicas]``."""

    @abstractmethod
    def _tensors(self) -> list[Tensor]:
        """The tensors of the methods that a step changes."""

    def _state(self) -> list[Tensor]:
        """Every tensor that a step changes."""
        average = [] if self.average is None else self.average.state()
        return [*self._tensors(), *self.optimizer.tensors(), *average]


def _with_average(scores: dict[str, dict[str, float]], averaged: dict[str, float]) -> dict[str, dict[str, float]]:
    first, *others = scores.items()
    return dict([first, (AVERAGED, averaged), *others])
