"""The optimizer and the learning rate of each epoch."""

from collections.abc import Sequence
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from osakd.methods.base import Method
from osakd.records import RunConfig

Groups = list[dict[str, Any]]
"""Parameter groups as PyTorch's optimizers take them."""


MOMENTS = {"sgd": ["momentum_buffer"], "adamw": ["step", "exp_avg", "exp_avg_sq"]}
"""The state of each optimizer for a parameter: but for the step, tensors of the parameter's own shape."""


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


class Optimizer:
    """SGD or AdamW as ``torch.optim`` has them, one fused kernel for all parameters of a group.

    All groups share a learning rate, in a captured step a tensor that each replay reads. The functions of
    ``torch.optim`` are called without its classes: the first of these imports all of ``torch.compile``.
    """

    def __init__(self, config: RunConfig, groups: Groups, *, captured: bool) -> None:
        self.config, self.groups, self.captured = config, groups, captured
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        device = groups[0]["params"][0].device
        dtype = torch.float32 if device.type == "cuda" else torch.float64
        self.rate = torch.full((), config.learning_rate, dtype=dtype, device=device)
        self.lr: Any = self.rate if captured else config.learning_rate

    def set_rate(self, rate: float) -> None:
        """Sets the learning rate."""
        self.rate.fill_(rate)
        if not self.captured:
            self.lr = rate

    @torch.no_grad()
    def step(self) -> None:
        """Updates the parameters and clears their gradients."""
        for group in self.groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            update = self._adamw if self.config.optimizer == "adamw" else self._sgd
            decay = group.get("weight_decay", self.config.weight_decay)
            update(parameters, [parameter.grad for parameter in parameters], decay)
            for parameter in parameters:
                parameter.grad = None

    def _sgd(self, parameters: list[Tensor], gradients: list[Tensor], decay: float) -> None:
        momentum, nesterov = self.config.momentum, self.config.nesterov
        buffers: list[Any] = [self.state.get(each, {}).get("momentum_buffer") for each in parameters if momentum]
        sgd(
            parameters, gradients, buffers, fused=True, lr=self.lr, momentum=momentum, nesterov=nesterov,
            weight_decay=decay, dampening=0.0, maximize=False,
        )  # fmt: skip
        for parameter, buffer in zip(parameters, buffers, strict=False):
            self.state[parameter] = {"momentum_buffer": buffer}

    def _adamw(self, parameters: list[Tensor], gradients: list[Tensor], decay: float) -> None:
        for parameter in parameters:
            if parameter not in self.state:
                moments = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
                self.state[parameter] = {"step": torch.zeros((), device=parameter.device)} | moments
        steps, means, squares = (
            [self.state[parameter][key] for parameter in parameters] for key in ("step", "exp_avg", "exp_avg_sq")
        )
        adamw(
            parameters, gradients, means, squares, [], steps, fused=True, lr=self.lr, beta1=0.9, beta2=0.999, eps=1e-8,
            weight_decay=decay, amsgrad=False, maximize=False, capturable=self.captured,
        )  # fmt: skip

    def tensors(self) -> list[Tensor]:
        """The tensors that a step changes."""
        return [value for state in self.state.values() for value in state.values()]

    def state_dict(self) -> dict[str, Any]:
        """The state by the number of each parameter, as in ``torch.optim``, whether or not the step is captured."""
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        state = {numbers[parameter]: dict(state) for parameter, state in self.state.items()}
        return {"state": state, "lr": float(self.rate)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a state dict."""
        parameters = self._parameters()
        self.state = {
            parameters[number]: {key: value.to(parameters[number].device) for key, value in of_parameter.items()}
            for number, of_parameter in state["state"].items()
        }

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.groups for parameter in group["params"]]
