"""The serial executor: one method, one step after another, no host synchronisation inside an epoch."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osakd.engine.evaluate import DeviceSplit, to_floats
from osakd.methods.base import Batch, Method


class EpochOutcome(NamedTuple):
    """What an epoch leaves: the mean of every part of the loss, and the first non-finite step (from 0), if any."""

    parts: dict[str, float]
    first_bad_step: int | None


class SerialExecutor:
    """Runs the epochs of one method.

    Args:
        method: on its device.
        optimizer: of the method's parameters.
        train: the training set on that device.
        batch_size: images per step; a last batch of one image is dropped.
        clip: largest norm of the gradient, or None.
        total_steps: of the whole schedule, for the clock.
    """

    def __init__(
        self,
        method: Method,
        optimizer: torch.optim.Optimizer,
        train: DeviceSplit,
        *,
        batch_size: int,
        clip: float | None,
        total_steps: int,
    ) -> None:
        self.method, self.optimizer, self.train = method, optimizer, train
        self.batch_size, self.clip, self.total_steps = batch_size, clip, total_steps

    def run_epoch(
        self, order: NDArray[np.int64], *, rate: float, first_step: int, on_step: Callable[[int], None]
    ) -> EpochOutcome:
        """One pass over the training set in the given order.

        Args:
            order: rows of the training set, ``[m]``.
            rate: the learning rate.
            first_step: steps taken before this epoch.
            on_step: called before each step with its number within the epoch; it may raise to stop.
        """
        device = self.train.classes.device
        self.method.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batches = split_order(torch.from_numpy(order).to(device), self.batch_size)
        steps = torch.arange(first_step, first_step + len(batches), device=device)
        progress = steps / self.total_steps
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        totals: list[Tensor] = []
        parts: list[dict[str, Tensor]] = []
        for number, rows in enumerate(batches):
            on_step(number)
            batch = Batch(
                to_floats(self.train.images.index_select(0, rows)),
                self.train.classes.index_select(0, rows),
                rows,
                steps[number],
                progress[number],
            )
            terms = self.method(batch)
            self.optimizer.zero_grad()
            terms.total.backward()
            if self.clip is not None:
                nn.utils.clip_grad_norm_(parameters, self.clip)
            self.optimizer.step()
            totals.append(terms.total.detach())
            parts.append(terms.parts)
        bad = (~torch.isfinite(torch.stack(totals))).nonzero()
        return EpochOutcome(_means(parts, [len(rows) for rows in batches]), int(bad[0]) if len(bad) else None)


def split_order(order: Tensor, batch_size: int) -> list[Tensor]:
    """The batches of an epoch; a last one of a single sample is left out, since batch statistics need two."""
    batches = list(order.split(batch_size))
    return batches[:-1] if len(batches[-1]) == 1 else batches


def _means(parts: list[dict[str, Tensor]], sizes: list[int]) -> dict[str, float]:
    """Means over the epoch's samples; one transfer for all parts."""
    names = list(parts[0])
    table = torch.stack([torch.stack([step[name] for step in parts]) for name in names]).double()
    weights = torch.tensor(sizes, dtype=table.dtype, device=table.device)
    return dict(zip(names, (table @ weights / weights.sum()).tolist(), strict=True))
