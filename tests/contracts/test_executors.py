"""One meaning: the same seed gives the same run on every executor. A new method passes through here once registered."""

import copy
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from osakd.data.sources import load_data
from osakd.data.streams import permutation
from osakd.engine.build import Built, on_device
from osakd.engine.executors import choose
from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.engine.executors.fused.folded import FoldedMethods
from osakd.engine.executors.fused.replicas import Layout, NotLowerableError
from osakd.engine.executors.serial import SerialExecutor
from osakd.engine.optim import Groups
from osakd.errors import NotFusedError
from osakd.methods.self_distillation import SelfDistillation
from tests.contracts.replicas import (
    CPU,
    EPOCHS,
    FOLDING,
    OTHERS,
    SEEDS,
    fused,
    method_of,
    run,
    serial,
    settings,
)


@pytest.fixture
def float64() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("lowering", "model", "epochs"),
    [
        *product(choose.LOWERINGS, ["lenet-digits", "residual"], [EPOCHS]),
        ("channels", "resnet8", 1),
        ("vmap", "staged", EPOCHS),
    ],
)
def test_fused_equals_serial_replica_by_replica(float64: None, lowering: str, model: str, epochs: int) -> None:
    """After 50 steps, with BatchNorm, memory, weight decay and clipping, and different input statistics per seed.

    ResNet-8, which is slow, takes 10 steps.
    """
    variants = OTHERS if model == "staged" else FOLDING
    together = fused(lowering, model, variants)
    order = [(seed, variant) for seed in SEEDS for variant in variants]
    history = run(together, [seed for seed, _ in order], range(1, epochs + 1))
    states, scores = together.states(), together.scores("test")
    for number, (seed, variant) in enumerate(order):
        alone = serial(variant, seed, model)
        for epoch, parts in enumerate(run(alone, [seed], range(1, epochs + 1))):
            assert parts[0] == pytest.approx(history[epoch][number], abs=1e-9)
        (state,) = alone.states()
        for name, tensor in state["method"].items():
            torch.testing.assert_close(states[number]["method"][name], tensor, rtol=0, atol=1e-9)
        for index, moments in state["optimizer"]["state"].items():
            found = states[number]["optimizer"]["state"][index]["momentum_buffer"]
            torch.testing.assert_close(found, moments["momentum_buffer"], rtol=0, atol=1e-9)
        expected = alone.scores("test")[0]
        assert scores[number].keys() == expected.keys()
        for name, values in expected.items():
            assert scores[number][name] == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize("cuda_graph", [False, True])
@pytest.mark.parametrize("lowering", choose.LOWERINGS)
def test_images_are_augmented_alike_on_every_executor(float64: None, lowering: str, cuda_graph: bool) -> None:
    variants = ["plain", "osakd"] if lowering == "channels" else ["plain", "kd"]
    order = [(seed, variant) for seed in SEEDS for variant in variants]
    changes = {"cuda_graph": cuda_graph, "reflect": True}
    history = run(fused(lowering, "staged", variants, **changes), [seed for seed, _ in order], [1, 2], crop=2)
    for number, (seed, variant) in enumerate(order):
        found = run(serial(variant, seed, "staged", **changes), [seed], [1, 2], crop=2)
        plain = run(serial(variant, seed, "staged"), [seed], [1, 2])
        for epoch in range(2):
            assert found[epoch][0] == pytest.approx(history[epoch][number], abs=1e-9)
            assert found[epoch][0]["total"] != pytest.approx(plain[epoch][0]["total"], abs=1e-6)


@pytest.mark.parametrize("lowering", choose.LOWERINGS)
def test_in_float32_the_losses_stay_within_a_thousandth(lowering: str) -> None:
    variants = ["plain", "osakd"]
    history = run(fused(lowering, "lenet-digits", variants), [0, 0, 1, 1], range(1, EPOCHS + 1))
    for number, (seed, variant) in enumerate((seed, variant) for seed in SEEDS for variant in variants):
        for epoch, parts in enumerate(run(serial(variant, seed, "lenet-digits"), [seed], range(1, EPOCHS + 1))):
            assert history[epoch][number]["total"] == pytest.approx(parts[0]["total"], abs=1e-3)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("lowering", choose.LOWERINGS)
def test_a_state_goes_from_serial_to_fused_and_back(float64: None, lowering: str, kind: str) -> None:
    def adamw(groups: Groups) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, 0.02, fused=True)

    changes = {"optimizer": adamw} if kind == "adamw" else {}
    # Not the residual network: its bias before a BatchNorm has no gradient but rounding, which AdamW blows up.
    model = "lenet-digits" if kind == "adamw" else "residual"
    variants: list[Any] = ["plain", {"name": "osakd", "k": 5, "pool": "memory"}]
    if lowering == "vmap":
        model = "staged" if model == "residual" else model
        variants += ["codistillation", "ffl"]
    whole, parts = [], []
    for seed in SEEDS:
        for variant in variants:
            alone = serial(variant, seed, model, **changes)
            run(alone, [seed], [1])
            parts.append(copy.deepcopy(alone.states()[0]))
            run(alone, [seed], [2, 3])
            whole.append(copy.deepcopy(alone.states()[0]))
    middle = fused(lowering, model, variants, **changes)
    middle.load(parts)
    run(middle, [seed for seed in SEEDS for _ in variants], [2])
    number = 0
    for seed in SEEDS:
        for variant in variants:
            end = serial(variant, seed, model, **changes)
            end.load([middle.states()[number]])
            run(end, [seed], [3])
            for name, tensor in end.states()[0]["method"].items():
                torch.testing.assert_close(tensor, whole[number]["method"][name], rtol=0, atol=1e-9)
            number += 1


class Scaled(nn.Module):
    """A parameter of no axes, and one that gets no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(64, 10), nn.Parameter(torch.tensor(1.0))
        self.unused = nn.Parameter(torch.zeros(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * self.layer(images.flatten(1))


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_state_of_parameters_without_axes_goes_from_serial_to_fused(float64: None, kind: str) -> None:
    def adamw(groups: Groups) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, 0.02, fused=True)

    options = settings(**({"optimizer": adamw} if kind == "adamw" else {}))
    splits = on_device(load_data("digits"), CPU)

    def methods() -> list[SelfDistillation]:
        found = []
        for seed in SEEDS:
            torch.manual_seed(seed)
            found.append(SelfDistillation(Scaled()))
        return found

    alone = [SerialExecutor(method, splits, **options) for method in methods()]
    for executor, seed in zip(alone, SEEDS, strict=True):
        run(executor, [seed], [1])
    together = FusedExecutor(methods(), ["plain"] * 2, [splits] * 2, lowering=choose.LOWERINGS["vmap"], **options)
    together.load(copy.deepcopy([executor.states()[0] for executor in alone]))
    run(together, SEEDS, [2])
    for number, (executor, seed) in enumerate(zip(alone, SEEDS, strict=True)):
        run(executor, [seed], [2])
        for name, tensor in executor.states()[0]["method"].items():
            torch.testing.assert_close(together.states()[number]["method"][name], tensor, rtol=0, atol=1e-9)


def test_a_replica_that_is_not_finite_harms_no_other() -> None:
    healthy, ill = (fused("channels", "residual", ["plain", "osakd"]) for _ in range(2))
    with torch.no_grad():
        for parameter, _ in ill.held:
            parameter.unflatten(0, (4, -1))[1].fill_(torch.nan)
    orders = [permutation(600, seed=seed, stage=0, stream="order", epoch=1) for seed in (0, 0, 1, 1)]
    expected = healthy.run_epoch(orders, rate=0.02, first_step=0, on_step=lambda _: None)
    found = ill.run_epoch(orders, rate=0.02, first_step=0, on_step=lambda _: None)
    assert [outcome.first_bad_step for outcome in found] == [None, 0, None, None]
    for number in (0, 2, 3):
        assert found[number] == expected[number]


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Dropout(0.5), "Dropout"),
        (nn.BatchNorm2d(2, momentum=None), "without momentum"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "padding mode 'circular'"),
        (nn.Softmax(1), "Softmax"),
    ],
)
def test_what_the_channels_lowering_does_not_know_is_named(layer: nn.Module, reason: str) -> None:
    networks = [nn.Sequential(layer, nn.Flatten(), nn.Linear(32, 3)) for _ in range(2)]
    with pytest.raises(NotLowerableError, match=reason):
        FoldedNetwork(networks, Layout(2, 2), (2, 4, 4))


class ByMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layer(features) if self.training else torch.relu(self.layer(features))


class ByValue(ByMode):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layer(features if features.sum() > 0 else -features)


def test_a_network_that_differs_by_mode_is_not_folded() -> None:
    networks = [nn.Sequential(nn.Flatten(), ByMode()) for _ in range(2)]
    with pytest.raises(NotLowerableError, match="other layers in training than in evaluation"):
        FoldedNetwork(networks, Layout(2, 2), (2, 4, 4))


def test_a_network_that_branches_on_values_is_not_fused_but_runs() -> None:
    splits = on_device(load_data("digits"), CPU)
    replicas = []
    for _ in SEEDS:
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), ByValue())
        replicas.append(Built(SelfDistillation(network), splits))
    with pytest.raises(NotFusedError, match=r"cannot be fused \(channels: .*; vmap: .*\): take --executor serial"):
        choose.fused(replicas, ["plain"] * 2, 2, settings())


@pytest.mark.parametrize("lowering", choose.LOWERINGS)
def test_what_is_frozen_stays_frozen(lowering: str) -> None:
    methods = [method_of("plain", seed, "lenet-digits") for seed in SEEDS]
    frozen = [next(method.parameters()).requires_grad_(False) for method in methods]
    before = [parameter.clone() for parameter in frozen]
    splits = [on_device(load_data("digits"), CPU)] * 2
    executor = FusedExecutor(methods, ["plain"] * 2, splits, lowering=choose.LOWERINGS[lowering], **settings())
    run(executor, SEEDS, [1])
    executor.load(copy.deepcopy(executor.states()))
    assert all(torch.equal(a, b) for a, b in zip(frozen, before, strict=True))
    assert len(executor.states()[0]["optimizer"]["state"]) == len(list(methods[0].parameters())) - 1


def test_a_method_with_parameters_of_its_own_is_not_folded() -> None:
    methods = [method_of("plain", seed, "lenet-digits") for seed in SEEDS]
    for method in methods:
        method.register_parameter("gate", nn.Parameter(torch.zeros(1)))
    splits = [on_device(load_data("digits"), CPU)] * 2
    with pytest.raises(NotLowerableError, match="parameters outside of its network"):
        FusedExecutor(methods, ["plain"] * 2, splits, lowering=FoldedMethods, **settings())


@pytest.mark.parametrize(("alone", "fused_anyway"), [(0.1, False), (10.0, True)])
def test_processes_are_preferred_where_they_are_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, alone: float, fused_anyway: bool
) -> None:
    splits = on_device(load_data("digits"), CPU)
    replicas = [Built(method_of("plain", seed, "lenet-digits"), splits) for seed in SEEDS]
    monkeypatch.setattr(choose, "_seconds_alone", lambda *_: alone)
    monkeypatch.setattr(choose, "step_seconds", lambda *_: 1.0)
    if fused_anyway:
        choose.fused(replicas, ["plain"] * 2, 2, settings(), against_processes=True)
    else:
        with pytest.raises(NotFusedError, match=r"A process for each run is faster .* \(100.0 ms per replica"):
            choose.fused(replicas, ["plain"] * 2, 2, settings(), against_processes=True)


def test_the_faster_lowering_is_taken_and_recorded() -> None:
    splits = on_device(load_data("digits"), CPU)
    replicas = [Built(method_of("plain", seed, "lenet-digits"), splits) for seed in SEEDS]
    before = [p.clone() for p in replicas[0].method.parameters()]
    name = choose.fused(replicas, ["plain"] * 2, 2, settings()).name
    assert name.startswith(("fused/channels (2 replicas; per replica and step: channels ", "fused/vmap (2 replicas;"))
    assert "vmap " in name
    assert all(torch.equal(a, b) for a, b in zip(before, replicas[0].method.parameters(), strict=True))
