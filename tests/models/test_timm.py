"""``timm:NAME``: with a module in timm's place, and with timm where it can be imported."""

import builtins
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import osakd
from osakd import build_model
from osakd.cli.main import main
from osakd.engine.state import load_student
from osakd.errors import InputError
from osakd.methods.teacher_runs import recorded_teacher
from osakd.models.build import expected_channels

SIZES: Any = {"num_classes": 4, "input_shape": (1, 8, 8)}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A module in timm's place, and the calls that build its networks."""
    made: list[Any] = []

    def create_model(name: str, **options: Any) -> nn.Module:
        made.append((name, options))
        if name == "vit_tiny":
            raise AssertionError("Input size\nmust be 224")
        conv = nn.Conv2d(options["in_chans"], 5, 3)
        network: Any = nn.Sequential(conv, nn.Flatten(), nn.Linear(5 * 36, options["num_classes"]))
        if options["pretrained"]:
            nn.init.constant_(conv.weight, 0.125)
        network.pretrained_cfg = {"mean": (0.2, 0.3, 0.4), "std": (0.1, 0.2, 0.3)}
        return network

    fake: Any = ModuleType("timm")
    names = ["resnet18", "resnet26", "resnet34", "vit_tiny"]
    fake.create_model, fake.list_models, fake.is_model = create_model, lambda: names, lambda name: name in names
    monkeypatch.setitem(sys.modules, "timm", fake)
    return made


def test_a_network_of_timm_is_built_untrained_for_the_data(calls: list[Any]) -> None:
    network = build_model("timm:resnet18", **SIZES)
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 4)
    assert calls == [("resnet18", {"pretrained": False, "num_classes": 4, "in_chans": 1})]
    assert expected_channels("timm:resnet18", num_classes=4, input_shape=(3, 8, 8)) == 3
    assert recorded_teacher("timm:resnet18") == "timm:resnet18"


@pytest.mark.parametrize(("channels", "mean"), [(1, [0.3]), (3, [0.2, 0.3, 0.4])])
def test_a_pretrained_network_has_its_weights_and_its_input_scaling(
    calls: list[Any], channels: int, mean: list[float]
) -> None:
    network: Any = build_model("timm:resnet18", num_classes=4, input_shape=(channels, 8, 8), pretrained=True)
    assert calls == [("resnet18", {"pretrained": True, "num_classes": 4, "in_chans": channels})]
    assert network.normalise.mean.flatten().tolist() == pytest.approx(mean)
    assert (network.network[0].weight == 0.125).all()


def test_pretrained_networks_of_a_run_are_its_student_its_teacher_and_not_those_of_an_evaluation(
    calls: list[Any], tmp_path: Path
) -> None:
    options: Any = {"epochs": 1, "learning_rate": 1e-6, "pretrained": True}
    run = osakd.train("digits", method={"name": "kd", "teacher": "timm:resnet18"}, out=tmp_path / "a", **options)
    assert {options["pretrained"] for _, options in calls} == {False, True}
    teacher: Any = load_student(run.folder / "teacher")
    assert teacher.network[0].weight.mean().item() == pytest.approx(0.125, abs=1e-3)
    calls.clear()
    run = osakd.train("digits", model="timm:resnet18", recipe="photos", out=tmp_path / "b", **options)
    assert any(options["pretrained"] for _, options in calls)
    calls.clear()
    student: Any = load_student(run.folder)
    assert student.normalise.mean.item() == pytest.approx(0.3)
    assert not any(options["pretrained"] for _, options in calls)
    with pytest.raises(InputError, match="`pretrained` is for networks of timm, got 'lenet-digits'"):
        osakd.train("digits", pretrained=True)


def test_an_unknown_name_of_timm_names_the_near_ones(calls: list[Any]) -> None:
    with pytest.raises(InputError, match="knows no model 'resnet19'; did you mean timm:resnet18 or timm:resnet"):
        build_model("timm:resnet19", **SIZES)
    with pytest.raises(InputError, match=r"knows no model 'qqq'; see timm.list_models\(\)"):
        build_model("timm:qqq", **SIZES)
    assert not calls


def test_what_timm_refuses_is_one_sentence(calls: list[Any]) -> None:
    with pytest.raises(InputError, match=r"cannot build 'vit_tiny' \(AssertionError: Input size must be 224\)"):
        build_model("timm:vit_tiny", **SIZES)
    with pytest.raises(InputError, match="Model 'timm:resnet18' cannot take images of 3x16x16"):
        build_model("timm:resnet18", num_classes=4, input_shape=(3, 16, 16))


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'timm'"), RuntimeError("torchvision::nms")])
def test_without_timm_the_remedy_is_named(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "timm", raising=False)

    class Fails:
        @staticmethod
        def find_spec(name: str, *_: Any) -> None:
            if name == "timm":
                raise error

    monkeypatch.setattr(sys, "meta_path", [Fails, *sys.meta_path])
    with pytest.raises(InputError, match=r"cannot be imported \(.+\): pip install timm, and the torchvision that"):
        build_model("timm:resnet18", **SIZES)


def test_the_name_is_recorded_as_it_is_and_resumes(calls: list[Any], tmp_path: Any) -> None:
    out = tmp_path / "run"
    command = ["train", "--model", "timm:resnet18", "--out", str(out)]
    assert main([*command, "--epochs", "1"]) == 0
    assert '"model": "timm:resnet18"' in (out / "config.json").read_text()
    assert main([*command, "--epochs", "2", "--resume"]) == 0
    assert main(["evaluate", str(out)]) == 0


def test_a_real_network_of_timm() -> None:
    try:
        builtins.__import__("timm")
    except Exception as error:  # torchvision may raise anything where it does not fit torch
        pytest.skip(f"timm cannot be imported here: {type(error).__name__}: {error}")
    network = build_model("timm:resnet18", num_classes=7, input_shape=(1, 32, 32))
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 7)
