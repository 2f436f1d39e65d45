"""The executor of one method, any module: eagerly (serial), or its whole step in a CUDA graph (graphed)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osakd.engine.evaluate import DeviceSplit, evaluate, to_floats
from osakd.engine.executors.base import EpochOutcome
from osakd.engine.executors.steps import EagerSteps, GraphedSteps
from osakd.engine.optim import ScheduledOptimizer
from osakd.engine.precision import autocast
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
        precision: of the forward pass: ``float32``, ``tf32`` or ``bf16``.
        graphed: the whole step is captured once and replayed.
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
        precision: str = "float32",
        graphed: bool = False,
    ) -> None:
        self.method, self.splits, self.clip, self.precision = method, splits, clip, precision
        self.parameters = [parameter for parameter in method.parameters() if parameter.requires_grad]
        self.optimizer = ScheduledOptimizer(optimizer(self.parameters), captured=graphed)
        clock = {"batch_size": batch_size, "total_steps": total_steps}
        self.steps = GraphedSteps(self.step, self._state, **clock) if graphed else EagerSteps(self.step, **clock)
        self.names: list[str] = []

    def run_epoch(
        self, orders: Sequence[NDArray[np.int64]], *, rate: float, first_step: int, on_step: Callable[[int], None]
    ) -> list[EpochOutcome]:
        """One pass over the training set in the given order."""
        self.method.train()
        self.optimizer.set_rate(rate)
        order = torch.from_numpy(orders[0]).to(self.splits["train"].classes.device)
        values, sizes = self.steps.run(order, first_step=first_step, on_step=on_step)
        weights = torch.stack([torch.isfinite(parameter).all() for parameter in self.parameters]).all()
        # The last step may spoil the weights after its own loss was fine.
        totals = values[:, self.names.index("total")]
        fine = torch.isfinite(torch.cat([totals, totals[-1:].where(weights, torch.nan)])).tolist()
        bad = min(fine.index(False), len(sizes) - 1) if False in fine else None
        shares = torch.tensor(sizes, dtype=torch.float64, device=values.device) / sum(sizes)
        means = (shares @ values.double()).tolist()
        return [EpochOutcome(dict(zip(self.names, means, strict=True)), bad)]

    def step(self, rows: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """One step on these rows of the training set; the parts of the loss, ``[parts]``."""
        train = self.splits["train"]
        images = to_floats(train.images.index_select(0, rows))
        batch = Batch(images, train.classes.index_select(0, rows), rows, step, progress)
        with autocast(self.precision, rows.device):
            terms = self.method(batch)
        terms.total.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        self.names = list(terms.parts)
        return torch.stack(list(terms.parts.values()))

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
        self.steps.forget()

    def deployed(self) -> list[nn.Module]:
        """The deployed network."""
        return [next(iter(self.method.predictors().values()))]

    def _state(self) -> list[Tensor]:
        return [*self.method.parameters(), *self.method.buffers(), *self.optimizer.tensors()]
