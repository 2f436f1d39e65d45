"""The optimizers: those of torch.optim, bit for bit."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from osakd.engine.config import options_of
from osakd.engine.optim import Optimizer

RATES = (0.1, 0.1, 0.02, 0.3)


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    return network, copy.deepcopy(network)


def groups(network: nn.Module) -> list[dict[str, Any]]:
    weights = list(network.parameters())
    return [{"params": weights[:3]}, {"params": weights[3:], "weight_decay": 0.25}]


def backward(network: nn.Module, step: int) -> None:
    images = torch.rand(8, 2, 6, 6, generator=torch.Generator().manual_seed(step))
    network(images).square().mean().backward()


def state(optimizer: Any) -> dict[int, dict[str, Tensor]]:
    return optimizer.state_dict()["state"]


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize(
    ("kind", "momentum", "nesterov"),
    [("sgd", 0.9, True), ("sgd", 0.9, False), ("sgd", 0.0, False), ("adamw", 0.9, False)],
)
def test_steps_and_state_are_those_of_torch(kind: Any, momentum: float, nesterov: bool, captured: bool) -> None:
    ours, theirs = networks()
    options = {
        "optimizer": kind,
        "momentum": momentum,
        "nesterov": nesterov,
        "weight_decay": 0.01,
        "learning_rate": 0.1,
    }
    config: Any = options_of(options)
    optimizer = Optimizer(config, groups(ours), captured=captured)
    how = {"fused": True, "weight_decay": 0.01}
    sgd = how | {"momentum": momentum, "nesterov": nesterov}
    expected: Any = (
        torch.optim.AdamW(groups(theirs), **how) if kind == "adamw" else torch.optim.SGD(groups(theirs), **sgd)
    )
    for step, rate in enumerate(RATES):
        optimizer.set_rate(rate)
        for group in expected.param_groups:
            group["lr"] = rate
        for network in (ours, theirs):
            backward(network, step)
        optimizer.step()
        expected.step()
        expected.zero_grad()
        assert all(parameter.grad is None for parameter in ours.parameters())
        if step == 1:  # a state goes on elsewhere
            again = Optimizer(config, groups(ours), captured=captured)
            again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            optimizer = again
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
    found, wanted = state(optimizer), state(expected)
    if momentum:
        assert found.keys() == wanted.keys()
        for number, values in wanted.items():
            assert all(torch.equal(found[number][key], value) for key, value in values.items())
