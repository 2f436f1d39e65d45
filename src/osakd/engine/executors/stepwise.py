"""What executors share that run an epoch step by step: the images of a step, the optimizer, the outcome of an epoch."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osakd.data.augment import crop_and_flip
from osakd.engine.averaging import WeightAverage, averaged_names
from osakd.engine.executors.base import EpochOutcome, Replicas
from osakd.engine.executors.steps import CUDAGraphSteps, EagerSteps, Steps, steps_per_epoch
from osakd.engine.optim import Groups, ScheduledOptimizer, build_optimizer
from osakd.methods.base import Method

AVERAGED, LAST = "averaged", "last"
"""Names of the deployed network's averaged and last weights, beside the deployed ones."""


class LossGroup(NamedTuple):
    """Replicas of one method, whose losses are computed together.

    Attributes:
        replicas: their numbers.
        names: names of the parts of their loss, in the order in which a step gives them, ``[parts, replicas]`` flat.
    """

    replicas: list[int]
    names: list[str]

    def outcomes(self, values: Tensor, shares: Tensor, finite_weights: Sequence[bool]) -> dict[int, EpochOutcome]:
        """The outcome of an epoch for each replica, by its number.

        Args:
            values: what each step gave for them ``[steps, parts * replicas]``.
            shares: share of each step in the epoch ``[steps]``.
            finite_weights: whether the weights of each replica of the program are finite at the epoch's end.
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


class StepwiseExecutor(ABC):
    """Runs epochs step by step, eagerly or as replays of a captured step.

    Args:
        replicas: the methods to train and their data.
        groups: the parameters to train, as groups for the optimizer.
        captured: the whole step is captured once and replayed.
    """

    def __init__(self, replicas: Replicas, groups: Groups, *, captured: bool) -> None:
        config = self.config = replicas.config
        self.splits, self.replicas = list(replicas.splits), len(replicas.methods)
        self.drawn: Tensor | None = None
        self.optimizer = ScheduledOptimizer(build_optimizer(config, groups), captured=captured)
        trained = [parameter for group in groups for parameter in group["params"]]
        self.average = None if config.ema is None else WeightAverage([*trained, *self._statistics()], config.ema)
        total_steps = config.epochs * steps_per_epoch(config.data["train"], config.batch_size)
        clock = {"batch_size": config.batch_size, "total_steps": total_steps}
        self.steps: Steps = EagerSteps(self.step, **clock)
        if captured:
            self.steps = CUDAGraphSteps(self.step, self._state, **clock)

    def run_epoch(
        self,
        orders: Sequence[NDArray[np.int64]],
        *,
        rate: float,
        first_step: int,
        on_step: Callable[[int], None],
        drawn: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[EpochOutcome]:
        """Makes one pass over the training set."""
        per_seed, device = self.replicas // len(self.splits), self.splits[0]["train"].target.device
        self._begin_epoch()
        self.optimizer.set_rate(rate)
        if drawn is not None:
            given = torch.from_numpy(np.stack(drawn[::per_seed])).to(device)
            self.drawn = given if self.drawn is None else self.drawn.copy_(given)  # in place: a captured step reads it
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
        """Trains on one batch.

        Args:
            index: indices of the training images of each seed ``[seeds, n]``.
            step: number of steps taken, a 0-dim tensor.
            progress: share of the schedule that is done, a 0-dim tensor.

        Returns:
            The parts of the losses of every loss group, flat.
        """

    def scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores on a split of everything that is evaluated, the deployed network's first."""
        last = self._scores(split)
        if self.average is None:
            return last
        with self.average.swapped():
            averaged = self._scores(split)
        return [
            _deployed_first(*of_replica, averaged_deployed=self.config.deploy_ema)
            for of_replica in zip(last, averaged, strict=True)
        ]

    def states(self) -> list[dict[str, Any]]:
        """The state of each replica for a checkpoint, the same for every executor."""
        states = self._states()
        if self.average is not None:
            with self.average.swapped():
                for state, method in zip(states, self._updated_methods(), strict=True):
                    own = method.own_state()
                    state["average"] = {name: own[name].clone() for name in averaged_names(method) if name in own}
            self._updated_methods()  # the states refer to their tensors
        return states

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Loads the states of checkpoints."""
        if self.average is not None:
            self._load([state | {"method": state["method"] | state["average"]} for state in states])
            self.average.assign()
        self._load(states)
        self.steps.forget()

    def deployed(self) -> list[nn.Module]:
        """The deployed networks."""
        if self.average is None or not self.config.deploy_ema:
            return [method.network for method in self._updated_methods()]
        with self.average.swapped():
            networks = [copy.deepcopy(method.network) for method in self._updated_methods()]
        self._updated_methods()  # states that were taken refer to their tensors
        return networks

    def _images(self, seed: int, index: Tensor) -> Tensor:
        """The training images of a seed at these indices, of 0 to 255 and augmented ``[n, h, w, channels]``."""
        images = self.splits[seed]["train"].images
        if self.drawn is None:
            return images.index_select(0, index)
        drawn = self.drawn[seed].index_select(0, index)
        return crop_and_flip(images, index, drawn, reflect=self.config.crop_padding == "reflect")

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
        """The ``method`` and ``optimizer`` state dicts of each replica."""

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
    def _state(self) -> list[Tensor]:
        """Every tensor that a step changes."""


def _deployed_first(
    last: dict[str, dict[str, float]], averaged: dict[str, dict[str, float]], *, averaged_deployed: bool
) -> dict[str, dict[str, float]]:
    """The scores by name with those of the network's other weights second."""
    (name, own), *others = last.items()
    mean = averaged[name]
    first, second = ((name, mean), (LAST, own)) if averaged_deployed else ((name, own), (AVERAGED, mean))
    return dict([first, second, *others])
