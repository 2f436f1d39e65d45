"""The optimizer and the learning rate of each epoch."""

from collections.abc import Sequence
from math import cos, pi

import torch
from torch import nn

from osakd.records import RunConfig


def build_optimizer(config: RunConfig, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD or AdamW, fused: one kernel for all parameters."""
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters,
        config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(config: RunConfig, epoch: int) -> float:
    """The rate during an epoch, counted from 1."""
    done = (epoch - 1) / config.epochs
    if config.schedule == "step":
        return config.learning_rate * config.gamma ** sum(done >= share for share in config.milestones)
    if config.schedule == "cosine":
        return config.learning_rate * (1 + cos(pi * done)) / 2
    return config.learning_rate
