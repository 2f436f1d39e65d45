"""Runs with the native kernel are the runs of the serial executor, to float32's precision; and who chooses it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import osakd
from osakd.engine.executors import choose
from osakd.engine.executors.registry import AUTO
from osakd.errors import InputError, UnsupportedError
from osakd.models.normalise import Normalise
from osakd.native.executors import serial as native
from osakd.native.executors.layers import find_layers
from osakd.native.kernels import library
from tests.contracts.replicas import (
    EPOCHS,
    FOLDING,
    SEEDS,
    VARIANTS,
    alone,
    method_of,
    replicas,
    run,
    serial,
    together,
)
from tests.engine.runs import StopAt

ALONE, TOGETHER = "serial/native", "fused/native"
# Peers of another kind are left out: a ResNet's BatchNorm makes much of the last digit.
OWN_KIND = [variant for variant in VARIANTS if "resnet8" not in str(variant)]


@pytest.mark.parametrize("variant", OWN_KIND, ids=str)
@pytest.mark.compiler
def test_the_losses_stay_within_a_thousandth(variant: Any) -> None:
    """Every method, after 50 steps, with weight decay and clipping; the scores too."""
    single, reference = alone(ALONE, variant, 1, "lenet-digits"), serial(variant, 1, "lenet-digits")
    epochs = range(1, EPOCHS + 1)
    for one, other in zip(run(single, [1], epochs), run(reference, [1], epochs), strict=True):
        assert one[0]["total"] == pytest.approx(other[0]["total"], abs=1e-3)
    assert single.states()[0]["method"].keys() == reference.states()[0]["method"].keys()
    for name, scores in reference.scores("test")[0].items():
        assert single.scores("test")[0][name] == pytest.approx(scores, abs=0.01)


@pytest.mark.compiler
def test_replicas_together_stay_within_a_thousandth() -> None:
    shared = together(TOGETHER, "lenet-digits", FOLDING)
    order = [(seed, variant) for seed in SEEDS for variant in FOLDING]
    epochs = range(1, EPOCHS + 1)
    history, scores = run(shared, [seed for seed, _ in order], epochs), shared.scores("test")
    for number, (seed, variant) in enumerate(order):
        reference = serial(variant, seed, "lenet-digits")
        for epoch, parts in enumerate(run(reference, [seed], epochs)):
            assert history[epoch][number]["total"] == pytest.approx(parts[0]["total"], abs=1e-3)
        assert scores[number]["student"] == pytest.approx(reference.scores("test")[0]["student"], abs=0.01)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", [ALONE, TOGETHER])
@pytest.mark.compiler
def test_a_resumed_run_is_the_whole_one_bit_for_bit(name: str, threads: int) -> None:
    """With one number of threads before the stop and another after it."""
    queue: dict[str, Any] = {"name": "osakd", "k": 5, "pool": "queue", "queue_size": 170}
    variants: list[Any] = ["plain", queue, {"name": "osakd", "k": 5, "pool": "memory"}]
    seeds = [seed for seed in SEEDS for _ in variants] if name == TOGETHER else [0]

    def fresh() -> Any:
        if name == TOGETHER:
            return together(name, "lenet-digits", variants)
        return alone(name, variants[1], 0, "lenet-digits")

    whole, first, second = fresh(), fresh(), fresh()
    run(whole, seeds, [1, 2, 3])
    run(first, seeds, [1, 2])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        second.load(copy.deepcopy(first.states()))
        run(second, seeds, [3])
    finally:
        torch.set_num_threads(before)
    for one, other in zip(whole.states(), second.states(), strict=True):
        for key, value in one["method"].items():
            assert torch.equal(value, other["method"][key])
    assert whole.scores("test") == second.scores("test")


@pytest.mark.compiler
def test_what_is_frozen_stays_frozen_and_networks_may_have_no_bias() -> None:
    """A state goes from the kernel to the serial executor and back."""
    body = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(27, 10))
    methods = [method_of("plain", seed, "lenet-digits") for seed in SEEDS]
    for method in methods:
        method.network = copy.deepcopy(body)
    frozen = [method.network[0].weight.requires_grad_(False) for method in methods]
    before = frozen[0].clone()
    shared = choose.build_executor(TOGETHER, replicas(methods))
    run(shared, SEEDS, [1])
    states = copy.deepcopy(shared.states())
    assert torch.equal(states[0]["method"]["network.0.weight"], before)
    reference = choose.build_executor("serial", replicas([copy.deepcopy(methods[0])]))
    reference.load(states[:1])
    run(reference, [0], [2])
    run(shared, SEEDS, [2])
    torch.testing.assert_close(
        reference.states()[0]["method"]["network.4.weight"], shared.states()[0]["method"]["network.4.weight"]
    )


class Functional(nn.Module):
    def __init__(self, **pooling: Any) -> None:
        super().__init__()
        self.one, self.two, self.pooling = nn.Conv2d(1, 4, 3), nn.Linear(36, 3), pooling or {"kernel_size": 2}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.two(torch.flatten(F.max_pool2d(F.relu(self.one(images)), **self.pooling), 1))


def small(*first: nn.Module) -> nn.Sequential:
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(36, 5), nn.ReLU(), nn.Linear(5, 3))


def test_networks_of_other_peoples_making_are_chains() -> None:
    body = small(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2, 2))
    network = nn.Sequential(Normalise([0.5], [0.5]), body)
    assert find_layers(network) == ("0", ("1.0",), ("1.4", "1.6"), True)
    assert find_layers(nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Identity())).flat is False


def hooked() -> nn.Module:
    network = small(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU())
    network[0].register_forward_hook(lambda *_: None)
    return network


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (lambda: small(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU()), "BatchNorm2d"),
        (lambda: small(nn.Conv2d(1, 4, 3, stride=2), nn.MaxPool2d(2), nn.ReLU()), "stride=\\(2, 2\\)"),
        (lambda: small(nn.Conv2d(1, 4, 9), nn.MaxPool2d(2), nn.ReLU()), "kernel_size=\\(9, 9\\)"),
        (lambda: small(nn.Conv2d(1, 4, 3, padding="same"), nn.MaxPool2d(2), nn.ReLU()), "padding=same"),
        (lambda: small(nn.Conv2d(2, 4, 3, groups=2), nn.MaxPool2d(2), nn.ReLU()), "groups=2"),
        (lambda: small(nn.Conv2d(1, 4, 3), nn.MaxPool2d(3), nn.ReLU()), "MaxPool2d\\(kernel_size=3"),
        (lambda: small(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()), "ceil_mode=True"),
        (lambda: small(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2)), "another order"),
        (lambda: small(nn.Conv2d(1, 4, 3), nn.ReLU()), "another order"),
        (lambda: small(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.GELU()), "GELU"),
        (lambda: Functional(kernel_size=2, stride=1), "max_pool2d|boolean_dispatch"),
        (hooked, "Conv2d"),
    ],
)
def test_what_is_no_chain_is_named(network: Callable[[], nn.Module], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        find_layers(network())


def test_a_network_written_with_functions_is_a_chain() -> None:
    assert find_layers(Functional()) == (None, ("one",), ("two",), True)
    assert find_layers(Functional(kernel_size=(2, 2), stride=2)).convolutions == ("one",)


@pytest.mark.parametrize(
    ("kernels", "recorded", "expected"),
    [
        (AUTO, "", ALONE),
        (AUTO, ALONE, ALONE),
        (AUTO, "serial", "serial"),
        ("torch", "", "serial"),
        ("torch", ALONE, "serial"),
        ("native", "", ALONE),
        ("native", "serial", ALONE),
    ],
)
@pytest.mark.compiler
def test_the_kernel_is_chosen_where_it_can_run(kernels: str, recorded: str, expected: str) -> None:
    given = replicas([method_of("plain", 0, "lenet-digits")])
    found = choose.alone(given, AUTO, kernels, recorded)
    assert found.name == expected
    assert found.notes == [f"Executor: {expected}, a single run on the CPU."]
    assert ("forward" in vars(given.methods[0].network)) == (expected == ALONE)


def test_without_a_compiler_a_run_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given = replicas([method_of("plain", 0, "lenet-digits")])
    monkeypatch.setattr(library, "_library", lambda: UnsupportedError("there is no C++ compiler"))
    found = choose.alone(given)
    assert found.name == "serial"
    assert found.notes == ["Executor: serial, since serial/native cannot run its step (there is no C++ compiler)."]
    with pytest.raises(
        InputError, match=r"cannot run this network \(there is no C\+\+ compiler\): take --kernels auto"
    ):
        choose.alone(given, AUTO, "native")


def test_another_precision_is_left_to_pytorch() -> None:
    given = replicas([method_of("plain", 0, "lenet-digits")], precision="bf16")
    with pytest.raises(UnsupportedError, match="for float32"):
        native.NativeSerialExecutor(given)


@pytest.mark.compiler
def test_many_runs_of_a_known_network_take_the_kernel() -> None:
    found = choose.together(replicas([method_of("plain", seed, "lenet-digits") for seed in SEEDS]))
    assert found.name == "fused/native (2 replicas)"


@pytest.mark.compiler
def test_a_run_records_its_kernel_and_resumes_with_it(tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "plain", "epochs": 3, "executor": "serial"}
    whole = osakd.train("digits", out=tmp_path / "whole", kernels="native", **options)
    assert whole.result.environment["executor"] == ALONE
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", out=tmp_path / "stopped", kernels="native", callbacks=[StopAt(3)], **options)
    resumed = osakd.train("digits", out=tmp_path / "stopped", resume=True, **options)
    assert resumed.result.environment["executor"] == ALONE
    states = [osakd.load(run.folder).state_dict() for run in (whole, resumed)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    plain = osakd.train("digits", out=tmp_path / "torch", kernels="torch", **options)
    assert plain.result.environment["executor"] == "serial"
    with pytest.raises(InputError, match="Unknown kernels 'c'"):
        osakd.train("digits", out=tmp_path / "other", kernels="c", **options)
