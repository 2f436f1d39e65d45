"""Which executor is built: the preferred one that works; and why."""

from typing import Any

import pytest
import torch
from torch import nn

from osakd.engine.executors import choose
from osakd.engine.executors.registry import AUTO, EXECUTORS, ExecutorEntry, executors_together
from osakd.engine.executors.steps import CapturedSteps
from osakd.errors import InputError, NotFusedError
from tests.contracts.replicas import SEEDS, method_of, plain_method, replicas, run


class ByValue(nn.Module):
    """Branches on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layer(features if features.sum() > 0 else -features)


def plain_replicas() -> Any:
    return replicas([method_of("plain", seed, "lenet-digits") for seed in SEEDS])


def test_a_network_that_branches_on_values_is_not_fused_but_runs() -> None:
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(64, 32), ByValue()) for _ in SEEDS]
    with pytest.raises(NotFusedError, match=r"cannot be fused \(channels: .*\): take --executor serial"):
        choose.together(replicas([plain_method(network) for network in networks]), "fused", "torch")


def test_a_trial_changes_nothing() -> None:
    given = plain_replicas()
    before = [p.clone() for p in given.methods[0].parameters()]
    assert choose.together(given, "fused", "torch").name == "fused/channels (2 replicas)"
    assert all(torch.equal(a, b) for a, b in zip(before, given.methods[0].parameters(), strict=True))


def test_a_single_run_on_the_cpu_is_serial() -> None:
    given = replicas([method_of("plain", 0, "lenet-digits")])
    for asked, why in ((AUTO, "a single run on the CPU"), ("serial", "as asked")):
        choice = choose.alone(given, asked, "torch")
        assert choice.name == "serial"
        assert choice.notes == [f"Executor: serial, {why}."]
        assert not isinstance(choice.executor.steps, CapturedSteps)
    with pytest.raises(InputError, match="The executor fused trains several runs together: use osakd compare"):
        choose.alone(given, "fused")


def fails(*_: object, **__: object) -> None:
    raise ValueError("no\nsuch luck")


def test_the_preferred_executor_is_left_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An executor that is only a row of the table is preferred to earlier rows, and left where it cannot run a step."""
    given = replicas([method_of("plain", 0, "lenet-digits")])
    monkeypatch.setitem(EXECUTORS, "made-up", ExecutorEntry("osakd.engine.executors.serial:SerialExecutor"))
    assert choose.alone(given, AUTO, "torch").name == "made-up"
    assert choose.alone(given, "made-up").notes == ["Executor: made-up, as asked."]
    monkeypatch.setitem(EXECUTORS, "made-up", ExecutorEntry("tests.contracts.test_choose:fails"))
    choice = choose.alone(given, AUTO, "torch")
    assert choice.name == "serial"
    assert choice.notes == ["Executor: serial, since made-up cannot run its step (no such luck)."]


def test_an_executor_is_a_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    given = plain_replicas()
    row = ExecutorEntry("osakd.engine.executors.fused.executor:FusedExecutor", together=True)
    monkeypatch.setitem(EXECUTORS, "fused/made-up", row)
    assert executors_together("fused", "cpu")[-1] == "fused/made-up"
    choice = choose.together(given, recorded="fused/made-up (9 replicas; measured long ago)")
    assert choice.name == "fused/made-up (2 replicas)"
    run(choice.executor, SEEDS, [1])
