"""The executor of one method, any module: step after step, or its whole step captured in a CUDA graph."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from osakd.engine.averaging import is_statistic
from osakd.engine.evaluate import evaluate_method, to_floats
from osakd.engine.executors.base import Executor, LossGroup, Replicas
from osakd.engine.optim import names_by_decay, parameter_group
from osakd.engine.precision import autocast
from osakd.methods.base import Batch, Method


class SerialExecutor(Executor):
    """Runs the epochs of one replica, of any method."""

    def __init__(self, replicas: Replicas, *, captured: bool = False) -> None:
        (self.method,) = replicas.methods
        by_decay = {
            decay: [self.method.get_parameter(name) for name in names]
            for decay, names in names_by_decay(self.method).items()
        }
        self.parameters = [parameter for parameters in by_decay.values() for parameter in parameters]
        self.names: list[str] = []
        groups = [parameter_group(parameters, decay) for decay, parameters in by_decay.items()]
        super().__init__(replicas, groups, captured=captured)

    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images at these indices ``[1, n]``; the parts of the loss, ``[parts]``."""
        index = index.squeeze(0)
        batch = Batch(to_floats(self._images(0, index)), self._target(0, index), index, step, progress)
        with autocast(self.config.precision, index.device):
            terms = self.method(batch)
        terms.total.backward()
        if self.config.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm)
        self._apply_gradients()
        self.names = list(terms.parts)
        return torch.stack(list(terms.parts.values()))

    def _scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        return [evaluate_method(self.method, self.splits[0][split], **self.evaluation(split))]

    def _states(self) -> list[dict[str, Any]]:
        return [{"method": self.method.own_state(), "optimizer": self.optimizer.state_dict()}]

    def _load(self, states: Sequence[dict[str, Any]]) -> None:
        self.method.load_own_state(states[0]["method"])
        self.optimizer.load_state_dict(states[0]["optimizer"])

    def _updated_methods(self) -> list[Method]:
        return [self.method]

    def _statistics(self) -> list[Tensor]:
        return [buffer for name, buffer in self.method.named_buffers() if is_statistic(name)]

    def _begin_epoch(self) -> None:
        self.method.train()

    def _loss_groups(self) -> list[LossGroup]:
        return [LossGroup([0], self.names)]

    def _finite_weights(self) -> Tensor:
        return torch.stack([torch.isfinite(parameter).all() for parameter in self.parameters]).all()[None]

    def _tensors(self) -> list[Tensor]:
        return [*self.method.parameters(), *self.method.buffers()]
