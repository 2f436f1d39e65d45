import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from osakd import build_model
from osakd.errors import InputError
from osakd.models.build import expected_channels
from osakd.models.normalise import Normalise


def test_rectifying_after_pooling_is_the_paper_s_function() -> None:
    body: Any = build_model("lenet", num_classes=10, input_shape=(3, 32, 32))[1]
    images = torch.randn(4, 3, 32, 32)
    expected = body(images)
    for stage in (body.stage1, body.stage2):
        conv, pool, rectifier = stage
        stage[1], stage[2] = rectifier, pool
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(pool, nn.MaxPool2d)
    torch.testing.assert_close(body(images), expected)


def test_normalise_is_per_channel_and_in_the_state() -> None:
    assert isinstance(build_model("lenet", num_classes=10, input_shape=(3, 32, 32))[0], Normalise)
    layer = Normalise([0.5, 0.0], [0.5, 2.0])
    images = torch.ones(1, 2, 1, 1)
    assert layer(images).flatten().tolist() == [1.0, 0.5]
    assert set(layer.state_dict()) == {"mean", "std"}


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's module in the current folder; the installed command does not have that folder on its path."""
    (tmp_path / "my_models.py").write_text(
        "from torch import nn\n"
        "def tiny(num_classes, input_shape):\n"
        "    c, h, w = input_shape\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, num_classes))\n"
        "def colour(num_classes, input_shape):\n"
        "    pooled = nn.AdaptiveAvgPool2d(1)\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), pooled, nn.Flatten(), nn.Linear(4, num_classes))\n"
        "def wrong(num_classes, input_shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(7))\n"
        "def fails(num_classes, input_shape):\n"
        "    import not_there_at_all\n"
        "def leaves(num_classes, input_shape):\n"
        "    raise SystemExit(3)\n"
        "class Pair(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return x, x\n"
        "def pair(num_classes, input_shape):\n"
        "    return Pair(2, 2)\n"
        "class Auxiliary(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.norm = nn.BatchNorm2d(1)\n"
        "        self.head = nn.Linear(25, 4)\n"
        "    def forward(self, x):\n"
        "        y = self.head(self.norm(x).flatten(1))\n"
        "        return (y, y) if self.training else y\n"
        "def auxiliary(num_classes, input_shape):\n"
        "    return Auxiliary()\n"
        "def frozen(num_classes, input_shape):\n"
        "    return tiny(num_classes, input_shape).requires_grad_(False)\n"
        "def nothing(num_classes, input_shape):\n"
        "    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    sys.modules.pop("my_models", None)
    return "my_models"


def test_own_function(own_model: str) -> None:
    network = build_model(f"{own_model}:tiny", num_classes=4, input_shape=(1, 5, 5))
    assert network(torch.rand(2, 1, 5, 5)).shape == (2, 4)


def test_expected_channels(own_model: str) -> None:
    assert expected_channels(f"{own_model}:colour", num_classes=2, input_shape=(1, 8, 8)) == 3
    assert expected_channels(f"{own_model}:tiny", num_classes=2, input_shape=(1, 8, 8)) == 1
    assert expected_channels("lenet", num_classes=2, input_shape=(1, 8, 8)) == 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("wrong", r"returns outputs of shape \[2, 7\] for 2 images, but the data have 4 classes"),
        ("nothing", "must return an nn.Module, got int"),
        ("missing", "cannot be imported"),
        ("fails", r"failed \(ModuleNotFoundError: No module named 'not_there_at_all'\)"),
        ("leaves", r"failed \(SystemExit: 3\)"),
        ("pair", "returns a tuple: let it return a tensor of logits"),
        ("auxiliary", "returns a tuple in training mode: let it return a tensor of logits"),
        ("frozen", "has no trained parameters, all are frozen: there is nothing to train"),
        ("colour", "cannot take images of 1x5x5"),
    ],
)
def test_own_function_that_does_not_fit(own_model: str, function: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model(f"{own_model}:{function}", num_classes=4, input_shape=(1, 5, 5))


def test_the_checks_leave_a_network_as_it_was() -> None:
    torch.manual_seed(0)
    network = build_model("resnet8", num_classes=4, input_shape=(1, 8, 8))
    drawn = torch.rand(1)
    assert network.training
    assert all(not buffer.any() for name, buffer in network.named_buffers() if "running_mean" in name)
    assert all(not buffer.any() for name, buffer in network.named_buffers() if "num_batches" in name)
    torch.manual_seed(0)
    again = build_model("resnet8", num_classes=4, input_shape=(1, 8, 8))
    assert torch.equal(drawn, torch.rand(1))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
