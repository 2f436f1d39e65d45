"""One meaning: the same seed gives the same run on every executor. A new method passes through here once registered."""

import copy
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from osakd import InputError
from osakd.data.sources import load_data
from osakd.data.streams import permutation
from osakd.engine import state, train
from osakd.engine.build import Built, on_device
from osakd.engine.config import Options, configure, run_view
from osakd.engine.executors import choose
from osakd.engine.executors.base import Executor
from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.engine.executors.fused.replicas import Layout, NotLowerableError
from osakd.engine.executors.serial import SerialExecutor
from osakd.errors import NotFusedError
from osakd.methods.base import Method
from osakd.methods.lookup import METHODS, build_method, resolve_method
from osakd.models.lookup import build_model
from osakd.models.normalise import Normalise
from osakd.records import read_metrics, read_result

SEEDS = (0, 1)
VARIANTS: list[Any] = [
    *METHODS,
    {"name": "osakd", "k": 5, "pool": "memory"},
    {"name": "osakd", "divergence": "mse_sum"},
]
STEPS, EPOCHS = 10, 5
CPU = torch.device("cpu")


class Residual(nn.Module):
    """Everything that the channels lowering knows, in one small network."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.left = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(6)
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 8, bias=False), nn.ReLU())
        self.out = nn.Linear(8, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        x = torch.relu(self.norm(self.left(x)) + x)
        return self.out(torch.flatten(self.head(self.pool(x)), 1))


@pytest.fixture
def float64() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def method_of(variant: Any, seed: int, model: str, device: str = "cpu") -> Method:
    torch.manual_seed(seed)
    if model == "residual":
        network: nn.Module = nn.Sequential(Normalise([0.4 + 0.1 * seed], [0.5]), Residual(10))
    else:
        network = build_model(model, num_classes=10, input_shape=(1, 8, 8))
    name, settings = resolve_method(variant)
    method = build_method(name, settings, network, num_classes=10, num_samples=600)
    return method.to(device).to(memory_format=torch.channels_last)


def settings(**changes: Any) -> dict[str, Any]:
    def sgd(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, 0.02, momentum=0.9, weight_decay=1e-3, fused=True)

    return {"optimizer": sgd, "batch_size": 64, "clip": 2.0, "total_steps": STEPS * EPOCHS} | changes


def run(
    executor: Executor, seeds: Sequence[int], epochs: Sequence[int], rate: float = 0.02
) -> list[list[dict[str, float]]]:
    history = []
    for epoch in epochs:
        orders = [permutation(600, seed=seed, stage=0, stream="order", epoch=epoch) for seed in seeds]
        done = executor.run_epoch(orders, rate=rate, first_step=STEPS * (epoch - 1), on_step=lambda _: None)
        assert all(outcome.first_bad_step is None for outcome in done)
        history.append([outcome.parts for outcome in done])
    return history


def fused(
    lowering: str, model: str, variants: Sequence[Any] = VARIANTS, device: str = "cpu", **changes: Any
) -> FusedExecutor:
    splits = on_device(load_data("digits"), torch.device(device))
    methods = [method_of(variant, seed, model, device) for seed in SEEDS for variant in variants]
    keys = [str(variant) for _ in SEEDS for variant in variants]
    options = settings(**changes)
    return FusedExecutor(methods, keys, [splits] * len(SEEDS), lowering=choose.LOWERINGS[lowering], **options)


def serial(variant: Any, seed: int, model: str, device: str = "cpu", **changes: Any) -> SerialExecutor:
    splits = on_device(load_data("digits"), torch.device(device))
    return SerialExecutor(method_of(variant, seed, model, device), splits, **settings(**changes))


@pytest.mark.parametrize(
    ("lowering", "model", "epochs"),
    [*product(choose.LOWERINGS, ["lenet-digits", "residual"], [EPOCHS]), ("channels", "resnet8", 1)],
)
def test_fused_equals_serial_replica_by_replica(float64: None, lowering: str, model: str, epochs: int) -> None:
    """After 50 steps, with BatchNorm, memory, weight decay and clipping, and different input statistics per seed.

    ResNet-8, which is slow, takes 10 steps.
    """
    together = fused(lowering, model)
    order = [(seed, variant) for seed in SEEDS for variant in VARIANTS]
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
        assert scores[number] == pytest.approx(alone.scores("test")[0], abs=1e-9)


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
    def adamw(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, 0.02, fused=True)

    changes = {"optimizer": adamw} if kind == "adamw" else {}
    # Not the residual network: its bias before a BatchNorm has no gradient but rounding, which AdamW blows up.
    model = "lenet-digits" if kind == "adamw" else "residual"
    variants = ["plain", {"name": "osakd", "k": 5, "pool": "memory"}]
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
    run(middle, [0, 0, 1, 1], [2])
    number = 0
    for seed in SEEDS:
        for variant in variants:
            end = serial(variant, seed, model, **changes)
            end.load([middle.states()[number]])
            run(end, [seed], [3])
            for name, tensor in end.states()[0]["method"].items():
                torch.testing.assert_close(tensor, whole[number]["method"][name], rtol=0, atol=1e-9)
            number += 1


def test_a_replica_that_is_not_finite_harms_no_other() -> None:
    healthy, ill = (fused("channels", "residual", ["plain", "osakd"]) for _ in range(2))
    with torch.no_grad():
        for parameter in ill.network.parameters():
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
        replicas.append(Built(build_method("plain", {}, network, num_classes=3, num_samples=600), splits))
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


def test_a_method_with_parameters_of_its_own_is_not_fused_yet() -> None:
    methods = [method_of("plain", seed, "lenet-digits") for seed in SEEDS]
    for method in methods:
        method.register_parameter("gate", nn.Parameter(torch.zeros(1)))
    splits = [on_device(load_data("digits"), CPU)] * 2
    with pytest.raises(NotLowerableError, match="parameters outside of its network"):
        FusedExecutor(methods, ["plain"] * 2, splits, lowering=FoldedNetwork, **settings())


def planned(tmp_path: Path, variants: Sequence[Any] = ("plain", "osakd"), **options: Any) -> list[train.Planned]:
    data = load_data("digits")
    plans = []
    for seed in SEEDS:
        for variant in variants:
            config = configure(data, variant, seed, Options(**options))
            view = run_view(data, config.model, config.validation, seed)
            plans.append(train.Planned(config, view, tmp_path / f"{config.method}-seed{seed}"))
    return plans


class Stop(train.Silent):
    def __init__(self, epoch: int) -> None:
        self.at = epoch

    def step(self, epoch: int, step: int) -> None:
        if (epoch, step) == (self.at, 3):
            raise KeyboardInterrupt


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_fused_runs_leave_what_serial_runs_leave(tmp_path: Path, validation: float) -> None:
    plans = planned(tmp_path / "fused", epochs=3, validation=validation)
    assert train.train_fused(plans, device=CPU, watcher=train.Silent()) == {}
    for plan in plans:
        alone = tmp_path / "serial" / plan.folder.name
        expected = train.train_run(plan.config, plan.data, alone, resume=False, device=CPU, watcher=train.Silent())
        found = read_result(plan.folder)
        assert found is not None
        assert found.environment["executor"].startswith("fused/")
        assert found.last["train"] == pytest.approx(expected.last["train"], abs=1e-3)
        assert found.last["test"]["accuracy"] == pytest.approx(expected.last["test"]["accuracy"], abs=0.005)
        assert [row.keys() for row in read_metrics(plan.folder)] == [row.keys() for row in read_metrics(alone)]
        assert sorted(p.name for p in plan.folder.iterdir()) == sorted(p.name for p in alone.iterdir())


def test_stopped_fused_runs_go_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    memory = {"name": "osakd", "k": 5, "pool": "memory"}
    with pytest.raises(KeyboardInterrupt):
        train.train_fused(
            planned(tmp_path / "a", ["plain", memory], epochs=4), device=CPU, watcher=Stop(3), lowerings=["channels"]
        )
    for place in ("a", "b"):
        # Where a run goes on, its checkpoint decides, not a new timing.
        lowerings = ["vmap", "channels"] if place == "a" else ["channels"]
        plans = planned(tmp_path / place, ["plain", memory], epochs=4)
        train.train_fused(plans, device=CPU, watcher=train.Silent(), lowerings=lowerings)
    for plan in planned(tmp_path / "a", ["plain", memory], epochs=4):
        one, other = (torch.load(tmp_path / p / plan.folder.name / "checkpoint.pt")["method"] for p in "ab")
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_killed_between_two_checkpoints_they_go_back_to_the_same_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    save = state.save_checkpoint

    def killed(folder: Path, **what: Any) -> None:
        if what["epoch"] == 3 and folder == plans[2].folder:
            raise KeyboardInterrupt
        save(folder, **what)

    plans = planned(tmp_path / "a", epochs=4)
    with monkeypatch.context() as patch:
        patch.setattr(state, "save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train.train_fused(plans, device=CPU, watcher=train.Silent(), lowerings=["vmap"])
    assert [state.read_checkpoints(plan.folder, CPU)[0]["epoch"] for plan in plans] == [3, 3, 2, 2]
    for place in ("a", "b"):
        again = planned(tmp_path / place, epochs=4)
        train.train_fused(again, device=CPU, watcher=train.Silent(), lowerings=["vmap"])
    for plan in plans:
        one, other = (torch.load(tmp_path / p / plan.folder.name / "checkpoint.pt")["method"] for p in "ab")
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert not (plan.folder / "checkpoint.previous.pt").exists()


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_epoch = FusedExecutor.run_epoch

    def spoil(self: FusedExecutor, orders: Sequence[np.ndarray], **rest: Any) -> Any:
        found = run_epoch(self, orders, **rest)
        return [found[0], found[1]._replace(first_bad_step=4), *found[2:]]

    monkeypatch.setattr(FusedExecutor, "run_epoch", spoil)
    plans = planned(tmp_path, epochs=2)
    errors = train.train_fused(plans, device=CPU, watcher=train.Silent())
    assert list(errors) == [plans[1].folder]
    assert "not finite at step 5 of epoch 1" in str(errors[plans[1].folder])
    assert [read_result(plan.folder) is not None for plan in plans] == [True, False, True, True]


def test_networks_that_cannot_be_fused_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "random_model.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, input_shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    plans = planned(tmp_path / "runs", epochs=1, model="random_model:net")
    with pytest.raises(
        InputError, match=r"cannot be fused \(channels: Dropout; vmap: .*random.*\): take --executor serial"
    ):
        train.train_fused(plans, device=CPU, watcher=train.Silent())
    assert not list((tmp_path / "runs").rglob("config.json"))


def test_runs_at_different_epochs_are_refused(tmp_path: Path) -> None:
    plans = planned(tmp_path, epochs=1)
    train.train_run(*plans[0], resume=False, device=CPU, watcher=train.Silent())
    more = planned(tmp_path, epochs=2)
    with pytest.raises(InputError, match="Runs that stopped at different epochs cannot go on in one program"):
        train.train_fused(more, device=CPU, watcher=train.Silent())


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
