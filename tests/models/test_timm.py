"""``timm:NAME``: with a module in timm's place, and with timm where it can be imported."""

import builtins
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from osakd import build_model
from osakd.cli.main import main
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
        return nn.Sequential(conv, nn.Flatten(), nn.Linear(5 * 36, options["num_classes"]))

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
