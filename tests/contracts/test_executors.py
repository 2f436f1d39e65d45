"""The same seed gives the same run on every executor. New methods and new executors are tested here once registered."""

import copy
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from osakd.data.streams import permutation
from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.layers import Layout
from osakd.engine.executors.registry import EXECUTORS, REFERENCE, build_executor
from osakd.errors import UnsupportedError
from tests.contracts.replicas import (
    ALONE,
    EPOCHS,
    FOLDING,
    OTHERS,
    SEEDS,
    TOGETHER,
    alone,
    method_of,
    replicas,
    run,
    serial,
    together,
    variants_of,
)

STATEFUL: list[Any] = [
    "plain",
    {"name": "osakd", "k": 5, "pool": "memory"},
    {"name": "osakd", "k": 5, "pool": "queue", "queue_size": 170},
]


@pytest.mark.parametrize(
    ("name", "model", "epochs"),
    [
        *product(TOGETHER, ["lenet-digits", "residual"], [EPOCHS]),
        *((name, "resnet8", 1) for name in TOGETHER),
    ],
)
def test_runs_together_equal_serial_ones_replica_by_replica(float64: None, name: str, model: str, epochs: int) -> None:
    """After 50 steps, with BatchNorm, memory, weight decay and clipping, and different input statistics per seed.

    ResNet-8 takes 10 steps.
    """
    # Every loss is mapped once, behind one network; what the other networks show does not depend on it.
    variants = FOLDING if model == "residual" else STATEFUL
    shared = together(name, model, variants)
    order = [(seed, variant) for seed in SEEDS for variant in variants]
    history = run(shared, [seed for seed, _ in order], range(1, epochs + 1))
    states, scores = shared.states(), shared.scores("test")
    for number, (seed, variant) in enumerate(order):
        reference = serial(variant, seed, model)
        for epoch, parts in enumerate(run(reference, [seed], range(1, epochs + 1))):
            assert parts[0] == pytest.approx(history[epoch][number], abs=1e-9)
        assert_equal_runs(states[number], scores[number], reference)


@pytest.mark.parametrize(
    ("name", "variant"),
    [(name, variant) for name in ALONE if name != REFERENCE for variant in variants_of(name)],
    ids=str,
)
def test_an_executor_of_one_run_equals_serial(float64: None, name: str, variant: Any) -> None:
    """After 20 steps; where there is no CUDA, captured steps are replayed by calling them."""
    model = "staged" if variant in OTHERS else "residual"
    single = alone(name, variant, 0, model, captured=EXECUTORS[name].captures)
    reference = serial(variant, 0, model)
    for one, other in zip(run(single, [0], [1, 2]), run(reference, [0], [1, 2]), strict=True):
        assert one[0] == pytest.approx(other[0], abs=1e-9)
    assert_equal_runs(single.states()[0], single.scores("test")[0], reference)


def assert_equal_runs(state: dict[str, Any], scores: dict[str, dict[str, float]], reference: Any) -> None:
    """Weights, buffers, momenta and scores are those of the reference."""
    (expected,) = reference.states()
    for name, tensor in expected["method"].items():
        torch.testing.assert_close(state["method"][name], tensor, rtol=0, atol=1e-9)
    for index, moments in expected["optimizer"]["state"].items():
        momentum = state["optimizer"]["state"][index]["momentum_buffer"]
        torch.testing.assert_close(momentum, moments["momentum_buffer"], rtol=0, atol=1e-9)
    (expected_scores,) = reference.scores("test")
    assert scores.keys() == expected_scores.keys()
    for name, values in expected_scores.items():
        assert scores[name] == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize(
    ("captured", "changes"),
    [
        *product([False, True], [{"crop": 2, "crop_padding": "reflect", "flip": True}, {"mixup": 0.4, "cutmix": 1.0}]),
        (False, {"augment": ("erasing",), "crop": 1, "mixup": 0.4}),
    ],
)
@pytest.mark.parametrize("name", TOGETHER)
def test_images_are_augmented_alike_on_every_executor(
    float64: None, name: str, captured: bool, changes: dict[str, Any], torchvision: None
) -> None:
    variants = ["plain", "osakd", "label-smoothing"]
    order = [(seed, variant) for seed in SEEDS for variant in variants]
    history = run(together(name, "staged", variants, captured=captured, **changes), [seed for seed, _ in order], [1, 2])
    for number, (seed, variant) in enumerate(order):
        found = run(serial(variant, seed, "staged", captured=captured, **changes), [seed], [1, 2])
        plain = run(serial(variant, seed, "staged"), [seed], [1, 2])
        for epoch in range(2):
            assert found[epoch][0] == pytest.approx(history[epoch][number], abs=1e-9)
            assert found[epoch][0]["total"] != pytest.approx(plain[epoch][0]["total"], abs=1e-6)


def test_policies_are_not_captured(torchvision: None) -> None:
    with pytest.raises(UnsupportedError, match="cannot be captured"):
        alone(REFERENCE, "plain", 0, "staged", captured=True, augment=("erasing",))


@pytest.mark.parametrize("name", TOGETHER)
def test_in_float32_the_losses_stay_within_a_thousandth(name: str) -> None:
    variants = ["plain", "osakd"]
    history = run(together(name, "lenet-digits", variants), [0, 0, 1, 1], range(1, EPOCHS + 1))
    for number, (seed, variant) in enumerate((seed, variant) for seed in SEEDS for variant in variants):
        for epoch, parts in enumerate(run(serial(variant, seed, "lenet-digits"), [seed], range(1, EPOCHS + 1))):
            assert history[epoch][number]["total"] == pytest.approx(parts[0]["total"], abs=1e-3)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("name", [name for name in (*ALONE, *TOGETHER) if name != REFERENCE])
def test_a_state_goes_from_serial_to_any_executor_and_back(float64: None, name: str, kind: str) -> None:
    changes = {"optimizer": "adamw"} if kind == "adamw" else {}
    # Not the residual network: its bias before a BatchNorm has no gradient but rounding, which AdamW blows up.
    model = "lenet-digits" if kind == "adamw" else "residual"
    variants = STATEFUL if EXECUTORS[name].together else [*STATEFUL, "codistillation", "ffl"]
    model = "staged" if model == "residual" and not EXECUTORS[name].together else model
    order = [(seed, variant) for seed in SEEDS for variant in variants]
    whole, parts = [], []
    for seed, variant in order:
        reference = serial(variant, seed, model, **changes)
        run(reference, [seed], [1])
        parts.append(copy.deepcopy(reference.states()[0]))
        run(reference, [seed], [2, 3])
        whole.append(copy.deepcopy(reference.states()[0]))
    middle = []
    if EXECUTORS[name].together:
        shared = together(name, model, variants, **changes)
        shared.load(parts)
        run(shared, [seed for seed, _ in order], [2])
        middle = shared.states()
    else:
        for (seed, variant), part in zip(order, parts, strict=True):
            single = alone(name, variant, seed, model, captured=EXECUTORS[name].captures, **changes)
            single.load([part])
            run(single, [seed], [2])
            middle += copy.deepcopy(single.states())
    for (seed, variant), state, expected in zip(order, middle, whole, strict=True):
        end = serial(variant, seed, model, **changes)
        end.load([state])
        run(end, [seed], [3])
        for key, tensor in end.states()[0]["method"].items():
            torch.testing.assert_close(tensor, expected["method"][key], rtol=0, atol=1e-9)


def test_a_replica_that_is_not_finite_harms_no_other() -> None:
    healthy, ill = (together("fused/channels", "residual", ["plain", "osakd"]) for _ in range(2))
    with torch.no_grad():
        for parameter in ill.parameters:
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
def test_what_cannot_be_folded_is_named(layer: nn.Module, reason: str) -> None:
    networks = [nn.Sequential(layer, nn.Flatten(), nn.Linear(32, 3)) for _ in range(2)]
    with pytest.raises(UnsupportedError, match=reason):
        FoldedNetwork(networks, Layout(2, 2), (2, 4, 4))


class ByMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layer(features) if self.training else torch.relu(self.layer(features))


def test_a_network_that_differs_by_mode_is_not_folded() -> None:
    networks = [nn.Sequential(nn.Flatten(), ByMode()) for _ in range(2)]
    with pytest.raises(UnsupportedError, match="other layers in training than in evaluation"):
        FoldedNetwork(networks, Layout(2, 2), (2, 4, 4))


@pytest.mark.parametrize("name", TOGETHER)
def test_what_is_frozen_stays_frozen(name: str) -> None:
    methods = [method_of("plain", seed, "lenet-digits") for seed in SEEDS]
    frozen = [next(method.parameters()).requires_grad_(False) for method in methods]
    before = [parameter.clone() for parameter in frozen]
    executor = build_executor(name, replicas(methods))
    run(executor, SEEDS, [1])
    executor.load(copy.deepcopy(executor.states()))
    assert all(torch.equal(a, b) for a, b in zip(frozen, before, strict=True))
    assert len(executor.states()[0]["optimizer"]["state"]) == len(list(methods[0].parameters())) - 1


def test_a_method_with_parameters_or_weight_decays_of_its_own_is_not_folded() -> None:
    methods = [method_of("plain", seed, "lenet-digits") for seed in SEEDS]
    methods[1].weight_decays = lambda: {"network": 0.1}  # type: ignore[method-assign] - a method of one's own
    with pytest.raises(UnsupportedError, match="weight decays"):
        build_executor("fused/channels", replicas(methods))
    methods[0].register_parameter("gate", nn.Parameter(torch.zeros(1)))
    with pytest.raises(UnsupportedError, match="parameters outside of its network"):
        build_executor("fused/channels", replicas(methods))
