"""The optimizer and the learning rate of each epoch."""

from collections.abc import MutableMapping, Sequence
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from osakd.methods.base import Method
from osakd.records import RunConfig

Groups = list[dict[str, Any]]
"""Parameter groups as PyTorch's optimizers take them."""


MOMENTS: dict[str, dict[str, Tensor | None]] = {
    "sgd": {"momentum_buffer": None},
    "adamw": {"step": torch.zeros(()), "exp_avg": None, "exp_avg_sq": None},
}
"""The state of each optimizer for a parameter, with examples of what is not of the parameter's own kind."""


def names_by_decay(method: Method) -> dict[float | None, list[str]]:
    """Names of a method's trained parameters by weight decay; None, the configured one, comes first."""
    decays = method.weight_decays()
    names: dict[float | None, list[str]] = {None: []}
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            names.setdefault(decays.get(name.partition(".")[0]), []).append(name)
    return names


def parameter_group(parameters: Sequence[nn.Parameter], decay: float | None) -> dict[str, Any]:
    """A parameter group, with its own weight decay if there is one."""
    return {"params": list(parameters)} | ({} if decay is None else {"weight_decay": decay})


def build_optimizer(config: RunConfig, groups: Groups) -> torch.optim.Optimizer:
    """SGD or AdamW with ``fused=True``: a single kernel for all parameters of a group."""
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay, fused=True)
    return torch.optim.SGD(
        groups,
        config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(config: RunConfig, epoch: int) -> float:
    """The learning rate of an epoch, counted from 1: it rises in equal steps, then follows the schedule."""
    rising = round(config.warmup_epochs * (config.epochs if config.warmup_epochs < 1 else 1))
    if epoch <= rising:
        return config.learning_rate * epoch / (rising + 1)
    done = (epoch - 1) / config.epochs
    if config.schedule == "step":
        return config.learning_rate * config.gamma ** sum(done >= share for share in config.milestones)
    if config.schedule == "cosine":
        return config.learning_rate * (1 + cos(pi * (epoch - 1 - rising) / (config.epochs - rising))) / 2
    return config.learning_rate


class ScheduledOptimizer:
    """An optimizer whose groups share a learning rate, in a captured step a tensor that each replay reads."""

    def __init__(self, optimizer: torch.optim.Optimizer, *, captured: bool) -> None:
        self.optimizer, self.captured = optimizer, captured
        device = optimizer.param_groups[0]["params"][0].device
        self.on_cuda = device.type == "cuda"
        self.rate = torch.zeros((), dtype=torch.float64 if not self.on_cuda else torch.float32, device=device)
        self._prepare()

    @property
    def state(self) -> MutableMapping[Any, Any]:
        """The optimizer's state of each parameter."""
        return self.optimizer.state

    def set_rate(self, rate: float) -> None:
        """Sets the learning rate."""
        self.rate.fill_(rate)
        if not self.captured:
            for group in self.optimizer.param_groups:
                group["lr"] = rate

    def step(self) -> None:
        """Updates the parameters and clears their gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad()

    def tensors(self) -> list[Tensor]:
        """The tensors that a step changes."""
        values = [value for state in self.optimizer.state.values() for value in state.values()]
        return [value for value in values if isinstance(value, Tensor)]

    def state_dict(self) -> dict[str, Any]:
        """The state dict, the same whether or not the step is captured."""
        state = self.optimizer.state_dict()
        changed = {"lr": float(self.rate)} | ({"capturable": False} if "capturable" in state["param_groups"][0] else {})
        return state | {"param_groups": [group | changed for group in state["param_groups"]]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a state dict."""
        self.optimizer.load_state_dict(state)
        self._prepare()

    def _prepare(self) -> None:
        self.set_rate(float(self.optimizer.param_groups[0]["lr"]))
        for group in self.optimizer.param_groups if self.captured else []:
            group["lr"] = self.rate
            if "capturable" in group:
                group["capturable"] = self.on_cuda
