"""The deployed network: averaged or not, of the epoch that validation chooses, calibrated; in runs and in any loop."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import osakd
from osakd.engine.best import BestAverage
from osakd.engine.calibration import divide_last_layer, fit_temperature, refined_nll
from osakd.engine.state import load_student
from osakd.errors import InputError
from osakd.records import RunConfig, read_metrics, read_result
from tests.engine.runs import StopAt

CHOOSING: dict[str, Any] = {"epochs": 6, "validation": 0.4, "learning_rate": 0.1}
"""239 of 600 images held out: enough to choose an epoch."""


def refined(row: dict[str, Any]) -> list[float]:
    return [row["validation"]["refined_nll"], row["others"]["averaged"]["validation"]["refined_nll"]]


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> osakd.Run:
    return osakd.train("digits", method="osakd", out=tmp_path_factory.mktemp("chosen") / "run", **CHOOSING)


def test_a_run_deploys_the_weights_with_the_lowest_refined_validation_loss(chosen: osakd.Run) -> None:
    rows, deployed = read_metrics(chosen.folder), chosen.result.deployed
    assert deployed is not None
    losses = [loss for row in rows for loss in refined(row)]
    number = losses.index(min(losses))
    assert (deployed["epoch"], deployed["weights"]) == (number // 2 + 1, ("last", "averaged")[number % 2])
    row = rows[deployed["epoch"] - 1]
    kept = row if deployed["weights"] == "last" else row["others"]["averaged"]
    assert deployed["temperature"] == kept["validation"]["temperature"]
    assert deployed["validation"]["nll"] == pytest.approx(kept["validation"]["refined_nll"], abs=1e-5)
    assert deployed["uncalibrated"]["nll"] == pytest.approx(kept["test"]["nll"], abs=1e-5)
    assert deployed["test"]["accuracy"] == kept["test"]["accuracy"]
    assert osakd.evaluate(chosen.folder) == pytest.approx(deployed["test"], abs=1e-6)
    assert chosen.result.notes == ["Held out for validation: 239 of 600 training images."]


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_it_survives_a_stop_after_the_chosen_epoch(chosen: osakd.Run, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", method="osakd", out=tmp_path, callbacks=[StopAt(6, 1)], **CHOOSING)
    again = osakd.train("digits", method="osakd", out=tmp_path, resume=True, **CHOOSING)
    assert again.result.deployed == chosen.result.deployed
    assert (tmp_path / "student.safetensors").read_bytes() == (chosen.folder / "student.safetensors").read_bytes()


def test_runs_that_are_trained_together_deploy_the_same(chosen: osakd.Run, tmp_path: Path) -> None:
    methods = ["osakd", "plain"]
    osakd.compare("digits", methods=methods, seeds=1, out=tmp_path, processes=1, executor="fused", **CHOOSING)
    together = read_result(tmp_path / "osakd-seed0")
    assert together is not None
    assert together.environment["executor"].startswith("fused")
    assert together.deployed is not None
    assert chosen.result.deployed is not None
    assert together.deployed["epoch"] == chosen.result.deployed["epoch"]
    assert together.deployed["test"] == pytest.approx(chosen.result.deployed["test"], abs=2e-3)


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_patience_ends_a_run_which_is_finished_then(tmp_path: Path) -> None:
    options = {"epochs": 40, "validation": 0.4, "learning_rate": 0.3, "patience": 2}
    run = osakd.train("digits", out=tmp_path, **options)
    deployed, rows = run.result.deployed, read_metrics(tmp_path)
    assert deployed is not None
    assert run.result.epochs == len(rows) == deployed["epoch"] + 2 < 40
    assert run.result.planned_epochs == 40
    before = (tmp_path / "result.json").read_bytes()
    assert osakd.train("digits", out=tmp_path, resume=True, **options).result == run.result
    (tmp_path / "result.json").unlink()  # killed between the last checkpoint and the result
    again = osakd.train("digits", out=tmp_path, resume=True, **options)
    assert again.result.deployed == run.result.deployed
    assert len(read_metrics(tmp_path)) == len(rows)
    assert json.loads(before)["deployed"] == again.result.deployed


class StopInRefit(StopAt):
    """Stops where nothing is held out."""

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        self.stage = -1 if config.data["validation"] else 0


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_a_refit_trains_on_all_images_for_the_chosen_epochs(chosen: osakd.Run, tmp_path: Path) -> None:
    options = {"method": "osakd", "refit": True} | CHOOSING
    run = osakd.train("digits", out=tmp_path / "whole", **options)
    first, deployed = chosen.result.deployed, run.result.deployed
    again = osakd.train(
        "digits", method="osakd", validation=0, epochs=first["epoch"], learning_rate=0.1, deploy=first["weights"],
        ema_epochs=2.0, out=tmp_path / "plain",
    )  # fmt: skip
    assert deployed["refit"]
    assert [deployed[key] for key in ("epoch", "weights", "temperature")] == [
        first[key] for key in ("epoch", "weights", "temperature")
    ]
    assert deployed["uncalibrated"] == again.result.deployed["test"]
    assert osakd.evaluate(run.folder) == pytest.approx(deployed["test"], abs=1e-6)
    assert read_result(tmp_path / "whole") == run.result
    with pytest.raises(KeyboardInterrupt):  # in the second training
        osakd.train("digits", out=tmp_path / "cut", callbacks=[StopInRefit(2, 1)], **options)
    assert read_result(tmp_path / "cut") is None
    osakd.train("digits", out=tmp_path / "cut", resume=True, **options)
    student = "student.safetensors"
    assert (tmp_path / "cut" / student).read_bytes() == (tmp_path / "whole" / student).read_bytes()


def test_patience_ends_at_an_evaluated_epoch(tmp_path: Path) -> None:
    options = {"epochs": 40, "validation": 0.4, "learning_rate": 0.3, "patience": 2, "evaluate_every": 3}
    run = osakd.train("digits", out=tmp_path, **options)
    assert run.result.epochs % 3 == 0
    assert run.result.epochs < 40
    assert "test" in run.result.last


def test_a_method_with_a_teacher_is_refitted_with_a_teacher_of_its_own(tmp_path: Path) -> None:
    method = {"name": "kd", "teacher": "lenet-digits"}
    options = CHOOSING | {"epochs": 2, "refit": True}
    run = osakd.train("digits", method=method, out=tmp_path, **options)
    assert run.result.deployed["refit"]
    assert read_result(tmp_path / "teacher") is not None
    assert read_result(tmp_path / "refit/teacher") is not None
    assert osakd.train("digits", method=method, out=tmp_path, resume=True, **options).result == run.result


@pytest.mark.parametrize(
    ("options", "weights", "calibrated", "note"),
    [
        ({}, "averaged", True, "Fewer than 200 images are held out for validation, so no epoch is chosen"),
        ({"validation": 0}, "averaged", False, "No images are held out for validation, so no epoch is chosen"),
        ({"deploy": "averaged", "validation": 0.1}, "averaged", True, None),
        ({"deploy": "last", "validation": 0.1}, "last", False, None),
    ],
)
def test_what_is_deployed_without_a_choice(
    options: dict[str, Any], weights: str, calibrated: bool, note: str | None, tmp_path: Path
) -> None:
    run = osakd.train("digits", epochs=2, out=tmp_path, **options)
    assert run.result.deployed is not None
    assert (run.result.deployed["weights"], run.result.deployed["epoch"]) == (weights, 2)
    assert (run.result.deployed["temperature"] != 1) == calibrated
    assert any(note in said for said in run.result.notes) if note else "chosen" not in str(run.result.notes)


def test_a_class_of_one_image_is_not_held_out(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (9, 8, 8, 3), dtype=torch.uint8)
    data = {"train": (images, [0] * 4 + [1] * 4 + [2]), "test": (images[:3], [0, 1, 2])}
    assert osakd.train(data, model="resnet8", epochs=1, out=tmp_path).config.data["validation"] == 0


class Scaled(nn.Module):
    """A network whose last layer is not linear."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images.flatten(1)) * 3


def test_a_temperature_is_exact_in_the_last_layer_or_not_taken_there() -> None:
    inputs, shared = torch.randn(5, 1, 8, 8), nn.Linear(64, 64)
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), Scaled(), nn.Sequential(nn.Flatten(), shared, shared)]
    expected = [network(inputs) for network in networks]
    assert [divide_last_layer(network, 2.0, inputs) for network in networks] == [True, False, False]
    for network, outputs, factor in zip(networks, expected, (2, 1, 1), strict=True):
        torch.testing.assert_close(network(inputs) * factor, outputs)


def test_a_network_without_a_linear_last_layer_is_calibrated_by_a_layer_of_its_own(tmp_path: Path) -> None:
    run = osakd.train("digits", model=f"{__name__}:scaled", epochs=2, out=tmp_path)
    network = load_student(tmp_path, trust=True)
    assert run.result.deployed is not None
    assert network.temperature.value == pytest.approx(run.result.deployed["temperature"])
    assert osakd.evaluate(tmp_path, trust=True) == pytest.approx(run.result.deployed["test"], abs=1e-6)


def scaled(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    return Scaled()


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_the_temperature_has_the_least_loss(factor: float) -> None:
    torch.manual_seed(0)
    true = 2 * torch.randn(3000, 4, dtype=torch.float64)
    target = torch.multinomial(true.softmax(1), 1)[:, 0]
    temperature = fit_temperature(true * factor, target)
    assert temperature == pytest.approx(factor, rel=0.1)
    losses = [F.cross_entropy(true * factor / (temperature * other), target) for other in (0.95, 1.0, 1.05)]
    assert losses[1] < min(losses[0], losses[2])


def test_a_network_without_a_mistake_on_few_images_is_not_certain() -> None:
    logits = torch.eye(10)[torch.arange(60) % 10]
    temperature = fit_temperature(logits, torch.arange(60) % 10)
    assert 0.1 < temperature < 1
    assert (logits / temperature).softmax(1).amax() < 0.99


@pytest.mark.parametrize(("logits", "target"), [((0, 3), 0), ((4, 3), 5), ((4,), 4), ((4, 1), 4)])
def test_temperatures_of_what_is_not_logits(logits: tuple[int, ...], target: int) -> None:
    with pytest.raises(InputError, match="`logits` must be"):
        fit_temperature(torch.zeros(logits), torch.zeros(target, dtype=torch.int64))


def loop(best: BestAverage, optimizer: Any, epochs: range, inputs: torch.Tensor, target: torch.Tensor) -> None:
    for epoch in epochs:
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(epoch))
        for rows in order.split(16):
            optimizer.zero_grad()
            F.cross_entropy(best.network(inputs[rows]), target[rows]).backward()
            optimizer.step()
            best.update()
        best.validate([(inputs[::2], target[::2]), (inputs[1::2], target[1::2])])


def test_any_loop_keeps_the_best_average_and_resumes_exactly() -> None:
    torch.manual_seed(0)
    inputs, target = torch.randn(64, 3), torch.randint(3, (64,))
    whole, parts = [], []
    for stops in (whole, parts):
        torch.manual_seed(1)
        network = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(network.parameters(), 0.5, momentum=0.9)
        best = BestAverage(network, steps_per_epoch=4, epochs=0.5)
        loop(best, optimizer, range(3), inputs, target)
        if stops is parts:
            saved = copy.deepcopy(best.state_dict())
            best = BestAverage(network, steps_per_epoch=4, epochs=0.5)
            best.load_state_dict(saved)
        loop(best, optimizer, range(3, 6), inputs, target)
        stops += [best.chosen, best.finish()]
    assert whole[0][:4] == parts[0][:4]
    torch.testing.assert_close(whole[1].eval()(inputs), parts[1].eval()(inputs), rtol=0, atol=0)
    loss = F.cross_entropy(whole[1](inputs), target).item()
    assert loss == pytest.approx(whole[0].refined_nll, abs=1e-5)
    assert refined_nll(whole[1](inputs), target)[1] == pytest.approx(1, abs=0.1)


def test_finishing_before_validating() -> None:
    best = BestAverage(nn.Linear(2, 2), steps_per_epoch=1)
    with pytest.raises(InputError, match="call `validate` after each epoch"):
        best.finish()
    with pytest.raises(InputError, match="no validation images"):
        best.validate([])
