"""The executor of one method, any module: eagerly (serial), or its whole step in a CUDA graph (cuda_graph)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osakd.engine.evaluate import DeviceSplit, evaluate_method
from osakd.engine.executors.base import EpochOutcome, TrainingImages
from osakd.engine.executors.steps import CUDAGraphSteps, EagerSteps
from osakd.engine.optim import Groups, ScheduledOptimizer, names_by_decay, parameter_group
from osakd.engine.precision import autocast
from osakd.methods.base import Batch, Method


class SerialExecutor:
    """Runs the epochs of one method, any module.

    Args:
        method: on its device.
        splits: the data on that device, by name.
        optimizer: builds the optimizer of groups of parameters.
        batch_size: images per step; a last batch of one image is dropped.
        max_grad_norm: largest norm of the gradient, or None.
        total_steps: of the whole schedule, for the clock.
        precision: of the forward pass: ``float32``, ``tf32`` or ``bf16``.
        reflect: a crop's padding is reflected, else black.
        cuda_graph: the whole step is captured once and replayed.
    """

    def __init__(
        self,
        method: Method,
        splits: dict[str, DeviceSplit],
        *,
        optimizer: Callable[[Groups], torch.optim.Optimizer],
        batch_size: int,
        max_grad_norm: float | None,
        total_steps: int,
        precision: str = "float32",
        reflect: bool = False,
        cuda_graph: bool = False,
    ) -> None:
        self.method, self.splits, self.max_grad_norm, self.precision = method, splits, max_grad_norm, precision
        self.images = TrainingImages([splits], reflect)
        by_decay = {
            decay: [method.get_parameter(name) for name in names] for decay, names in names_by_decay(method).items()
        }
        self.parameters = [parameter for parameters in by_decay.values() for parameter in parameters]
        groups = [parameter_group(parameters, decay) for decay, parameters in by_decay.items()]
        self.optimizer = ScheduledOptimizer(optimizer(groups), captured=cuda_graph)
        clock = {"batch_size": batch_size, "total_steps": total_steps}
        self.steps = CUDAGraphSteps(self.step, self._state, **clock) if cuda_graph else EagerSteps(self.step, **clock)
        self.names: list[str] = []

    def run_epoch(
        self,
        orders: Sequence[NDArray[np.int64]],
        *,
        rate: float,
        first_step: int,
        on_step: Callable[[int], None],
        drawn: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[EpochOutcome]:
        """One pass over the training set in the given order."""
        self.method.train()
        self.images.draw(drawn)
        self.optimizer.set_rate(rate)
        order = torch.from_numpy(orders[0]).to(self.splits["train"].target.device)
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
        batch = Batch(self.images.take(0, rows), train.target.index_select(0, rows), rows, step, progress)
        with autocast(self.precision, rows.device):
            terms = self.method(batch)
        terms.total.backward()
        if self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        self.optimizer.step()
        self.names = list(terms.parts)
        return torch.stack(list(terms.parts.values()))

    def scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores of what the method predicts on a split."""
        return [evaluate_method(self.method, self.splits[split])]

    def states(self) -> list[dict[str, Any]]:
        """What a checkpoint holds."""
        return [{"method": self.method.own_state(), "optimizer": self.optimizer.state_dict()}]

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Goes on from a state."""
        self.method.load_own_state(states[0]["method"])
        self.optimizer.load_state_dict(states[0]["optimizer"])
        self.steps.forget()

    def deployed(self) -> list[nn.Module]:
        """The deployed network."""
        return [self.method.network]

    def _state(self) -> list[Tensor]:
        return [*self.method.parameters(), *self.method.buffers(), *self.optimizer.tensors()]
