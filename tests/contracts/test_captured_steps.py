"""A captured step is the step: its values, its state, its schedule; and nothing in a step makes the host wait."""

import copy
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from osakd.engine.executors.base import Executor
from osakd.engine.executors.registry import EXECUTORS
from tests.contracts.replicas import ALONE, OTHERS, SEEDS, TOGETHER, VARIANTS, alone, run, serial, together, variants_of

CUDA = pytest.param("cuda", marks=pytest.mark.gpu)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_captured_equals_eager_over_epochs_with_a_changing_rate(variant: Any, kind: str, device: str) -> None:
    """Bit for bit on the CPU, where the same operators run."""

    model = "staged" if variant in OTHERS else "residual"
    changes: dict[str, Any] = {"device": device, "optimizer": kind, "nesterov": kind == "sgd"}
    eager, cuda_graph = (serial(variant, 0, model, captured=captured, **changes) for captured in (False, True))
    for epoch, rate in ((1, 0.02), (2, 0.002)):
        expected, found = (run(executor, [0], [epoch], rate=rate) for executor in (eager, cuda_graph))
        assert found[0][0] == pytest.approx(expected[0][0], rel=0 if device == "cpu" else 1e-3)
    # A state goes from one to the other, and from epoch to epoch.
    again = serial(variant, 0, model, captured=True, **changes)
    again.load(copy.deepcopy(eager.states()))
    eager.load(copy.deepcopy(cuda_graph.states()))
    expected, found = (run(executor, [0], [3]) for executor in (eager, again))
    assert found[0][0] == pytest.approx(expected[0][0], rel=0 if device == "cpu" else 1e-3)
    rates = [executor.states()[0]["optimizer"]["lr"] for executor in (eager, again)]
    assert rates[0] == rates[1]


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("name", TOGETHER)
def test_a_shared_step_can_be_captured(name: str, device: str) -> None:
    variants = variants_of(name)
    eager, cuda_graph = (
        together(name, "staged", variants, device=device, captured=captured) for captured in (False, True)
    )
    seeds = [seed for seed in SEEDS for _ in variants]
    expected, found = (run(executor, seeds, [1, 2]) for executor in (eager, cuda_graph))
    for epoch in range(2):
        for one, other in zip(expected[epoch], found[epoch], strict=True):
            assert other == pytest.approx(one, rel=0 if device == "cpu" else 1e-3)


def fake(executor: Executor) -> None:
    mode = FakeTensorMode()
    with FakeCopyMode(mode):
        copied: Any = copy.deepcopy(executor)
    with mode:
        index = torch.arange(64).repeat(len(executor.splits), 1)
        for _ in range(2):  # the first makes the optimizer's state
            values = copied.step(index, torch.tensor(0), torch.tensor(0.0))
    assert values.ndim == 1


@pytest.mark.parametrize(
    ("name", "variant"), [(name, variant) for name in ALONE for variant in variants_of(name)], ids=str
)
def test_a_whole_step_runs_on_fake_tensors(name: str, variant: Any) -> None:
    """They have no values: whatever asks for one raises."""
    model = "staged" if variant in OTHERS else "residual"
    fake(alone(name, variant, 0, model, captured=EXECUTORS[name].captures))


@pytest.mark.parametrize("name", TOGETHER)
def test_a_whole_shared_step_runs_on_fake_tensors(name: str) -> None:
    fake(together(name, "staged", variants_of(name)))


def test_fake_tensors_catch_a_step_that_waits() -> None:
    executor = serial("plain", 0, "lenet-digits")
    step = executor.method.forward
    executor.method.forward = lambda batch: step(batch._replace(images=batch.images * batch.images.sum().item()))  # type: ignore[method-assign] - a spy
    with pytest.raises(Exception, match=r"item|data-dependent|scalar"):
        fake(executor)


def test_warming_up_draws_no_random_numbers_and_leaves_the_state_even_when_it_fails() -> None:
    executor = serial("plain", 0, "lenet-digits", captured=True)
    before = copy.deepcopy(executor.states()[0]["method"])
    torch.manual_seed(0)
    run(executor, [0], [1], rate=0.0)
    found = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(found, torch.rand(1))
    assert all(torch.equal(before[name], value) for name, value in executor.states()[0]["method"].items())
    fails = serial("plain", 0, "lenet-digits", captured=True)
    step, calls = fails.steps.step, []

    def fail(*inputs: Any) -> torch.Tensor:
        calls.append(inputs)
        if len(calls) > 2:
            raise RuntimeError
        return step(*inputs)

    fails.steps.step = fail
    with pytest.raises(RuntimeError):
        run(fails, [0], [1])
    assert all(torch.equal(before[name], value) for name, value in fails.states()[0]["method"].items())
