"""The serial executor: one method, one step after another, no host synchronisation inside an epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osakd.engine.evaluate import DeviceSplit, evaluate, to_floats
from osakd.engine.executors.base import EpochOutcome, split_order
from osakd.methods.base import Batch, Method


class SerialExecutor:
    """Runs the epochs of one method, any module.

    Args:
        method: on its device.
        splits: the data on that device, by name.
        optimizer: builds the optimizer of the parameters that train.
        batch_size: images per step; a last batch of one image is dropped.
        clip: largest norm of the gradient, or None.
        total_steps: of the whole schedule, for the clock.
    """

    def __init__(
        self,
        method: Method,
        splits: dict[str, DeviceSplit],
        *,
        optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer],
        batch_size: int,
        clip: float | None,
        total_steps: int,
    ) -> None:
        self.method, self.splits = method, splits
        self.parameters = [parameter for parameter in method.parameters() if parameter.requires_grad]
        self.optimizer = optimizer(self.parameters)
        self.batch_size, self.clip, self.total_steps = batch_size, clip, total_steps

    def run_epoch(
        self, orders: Sequence[NDArray[np.int64]], *, rate: float, first_step: int, on_step: Callable[[int], None]
    ) -> list[EpochOutcome]:
        """One pass over the training set in the given order."""
        train = self.splits["train"]
        device = train.classes.device
        self.method.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batches = split_order(torch.from_numpy(orders[0]).to(device), self.batch_size)
        steps = torch.arange(first_step, first_step + len(batches), device=device)
        progress = steps / self.total_steps
        totals: list[Tensor] = []
        parts: list[dict[str, Tensor]] = []
        for number, rows in enumerate(batches):
            on_step(number)
            images = to_floats(train.images.index_select(0, rows))
            classes = train.classes.index_select(0, rows)
            terms = self.method(Batch(images, classes, rows, steps[number], progress[number]))
            self.optimizer.zero_grad()
            terms.total.backward()
            if self.clip is not None:
                nn.utils.clip_grad_norm_(self.parameters, self.clip)
            self.optimizer.step()
            totals.append(terms.total.detach())
            parts.append(terms.parts)
        weights = torch.stack([torch.isfinite(parameter).all() for parameter in self.parameters]).all()
        # The last step may spoil the weights after its own loss was fine.
        fine = torch.isfinite(torch.stack([*totals, totals[-1].where(weights, torch.nan)])).tolist()
        bad = min(fine.index(False), len(batches) - 1) if False in fine else None
        return [EpochOutcome(_means(parts, [len(rows) for rows in batches]), bad)]

    def scores(self, split: str) -> list[dict[str, float]]:
        """The scores of the deployed network on a split."""
        return [evaluate(self.deployed()[0], self.splits[split])]

    def states(self) -> list[dict[str, Any]]:
        """What a checkpoint holds."""
        return [{"method": self.method.state_dict(), "optimizer": self.optimizer.state_dict()}]

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Goes on from a state."""
        self.method.load_state_dict(states[0]["method"])
        self.optimizer.load_state_dict(states[0]["optimizer"])

    def deployed(self) -> list[nn.Module]:
        """The deployed network."""
        return [next(iter(self.method.predictors().values()))]


def _means(parts: list[dict[str, Tensor]], sizes: list[int]) -> dict[str, float]:
    """Means over the epoch's samples; one transfer for all parts."""
    names = list(parts[0])
    table = torch.stack([torch.stack([step[name] for step in parts]) for name in names]).double()
    weights = torch.tensor(sizes, dtype=table.dtype, device=table.device)
    return dict(zip(names, (table @ weights / weights.sum()).tolist(), strict=True))
