from math import sqrt
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from osakd import build_model
from osakd.errors import InputError
from osakd.models.registry import MODELS
from osakd.models.resnet import GlobalAverage, PaddedShortcut, resnet50

CIFAR, TINY = (3, 32, 32), (3, 64, 64)
PARAMETERS: list[tuple[str, int, tuple[int, int, int], int]] = [
    ("resnet8", 10, CIFAR, 75_290),
    ("resnet8-conv", 10, CIFAR, 78_042),
    ("resnet20", 10, CIFAR, 269_722),
    ("resnet20-conv", 10, CIFAR, 272_474),
    ("resnet32", 10, CIFAR, 464_154),
    ("resnet32-conv", 10, CIFAR, 466_906),
    ("resnet44", 10, CIFAR, 658_586),
    ("resnet44-conv", 10, CIFAR, 661_338),
    ("resnet56", 10, CIFAR, 853_018),
    ("resnet56-conv", 10, CIFAR, 855_770),
    ("resnet110", 10, CIFAR, 1_727_962),
    ("resnet110-conv", 10, CIFAR, 1_730_714),
    ("resnet20", 2, (1, 28, 28), 268_914),
    ("resnet20", 200, TINY, 282_072),
    ("resnet50", 1000, TINY, 25_557_032),
    ("resnet50", 200, TINY, 23_917_832),
    ("resnet50-small", 1000, TINY, 25_549_352),
    ("resnet50-small", 200, TINY, 23_910_152),
    ("resnet50-small", 2, (1, 8, 8), 23_503_298),
    ("ds-cnn", 10, CIFAR, 54_922),
    ("lenet", 10, CIFAR, 62_006),
    ("lenet-fashion", 10, (1, 28, 28), 431_080),
    ("lenet-digits", 10, (1, 8, 8), 13_706),
]


@pytest.mark.parametrize(("name", "classes", "shape", "count"), PARAMETERS)
def test_parameters_and_outputs(name: str, classes: int, shape: tuple[int, int, int], count: int) -> None:
    network = build_model(name, num_classes=classes, input_shape=shape)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    assert network.eval()(torch.rand(3, *shape)).shape == (3, classes)


def test_descriptions_name_the_counts() -> None:
    on = {("resnet50", 1000), ("resnet50-small", 200)}
    described = {name: count for name, classes, _, count in PARAMETERS if classes == 10 or (name, classes) in on}
    assert set(MODELS) == set(described)
    for name, count in described.items():
        assert f"{count:,} parameters" in MODELS[name].description


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("resnet8", {"stem": (16, 32), "stage1": (16, 32), "stage2": (32, 16), "stage3": (64, 8), "avgpool": (64, 1)}),
        (
            "resnet50",
            {"conv1": (64, 16), "maxpool": (64, 8), "layer1": (256, 8), "layer2": (512, 4), "layer4": (2048, 1)},
        ),
        ("resnet50-small", {"conv1": (64, 32), "layer1": (256, 32), "layer2": (512, 16), "layer4": (2048, 4)}),
    ],
)
def test_the_named_children_run_in_order_are_the_network(name: str, sizes: dict[str, tuple[int, int]]) -> None:
    network = build_model(name, num_classes=10, input_shape=CIFAR).eval()
    images = torch.rand(2, *CIFAR)
    x = network[0](images)
    found = {}
    for stage, layer in network[1].named_children():
        x = layer(x)
        found[stage] = tuple(x.shape[1:3])
    assert {stage: found[stage] for stage in sizes} == sizes
    assert torch.equal(x, network(images))
    assert list(found)[-3:] == ["avgpool", "flatten", "fc"]


@pytest.mark.parametrize(("channels", "more", "stride"), [(4, 8, 2), (3, 6, 2), (2, 5, 1), (3, 3, 2)])
def test_padded_shortcut_pixel_by_pixel(channels: int, more: int, stride: int) -> None:
    images = torch.randn(2, channels, 5, 7)
    found = PaddedShortcut(channels, more, stride)(images)
    assert found.shape == (2, more, -(-5 // stride), -(-7 // stride))
    first = (more - channels) // 2
    for n, c, h, w in torch.cartesian_prod(*[torch.arange(side) for side in found.shape]).tolist():
        old = 0 <= c - first < channels
        expected = images[n, c - first, h * stride, w * stride].item() if old else 0.0
        assert found[n, c, h, w].item() == expected


def test_global_average() -> None:
    images = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(GlobalAverage()(images), nn.AdaptiveAvgPool2d(1)(images))


def slow_resnet(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """A CIFAR ResNet in training mode, with option A, written out for its state."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        weight, bias = (state[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
        return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias

    def conv(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        """Without stride, then every so-manieth pixel."""
        return F.conv2d(x, state[f"{name}.weight"], padding=1)[:, :, ::stride, ::stride]

    x = norm(conv(x, "stem.conv", 1), "stem.bn").clamp(min=0)
    blocks = sorted({name.split(".conv1")[0] for name in state if ".conv1." in name})
    for block in blocks:
        stride = 2 if block in ("stage2.0", "stage3.0") else 1
        y = norm(conv(x, f"{block}.conv1", stride), f"{block}.bn1").clamp(min=0)
        y = norm(conv(y, f"{block}.conv2", 1), f"{block}.bn2")
        if stride == 2:
            nothing = torch.zeros_like(x[:, ::2, ::2, ::2])
            x = torch.cat([nothing, x[:, :, ::2, ::2], nothing], dim=1)
        x = (x + y).clamp(min=0)
    return x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def test_option_a_equals_the_network_written_out() -> None:
    network = build_model("resnet20", num_classes=7, input_shape=(3, 10, 12))[1].double().train()
    for name, parameter in network.named_parameters():
        if ".bn" in name:
            nn.init.uniform_(parameter, 0.5, 1.5)
    images = torch.randn(4, 3, 10, 12, dtype=torch.float64)
    torch.testing.assert_close(network(images), slow_resnet(network.state_dict(), images))


def torchvision_keys() -> list[str]:
    """The layout of torchvision's ResNet-50, in order."""

    def norm(name: str) -> list[str]:
        parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return [f"{name}.{part}" for part in parts]

    keys = ["conv1.weight", *norm("bn1")]
    for layer, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        for block in range(blocks):
            for number in (1, 2, 3):
                keys += [f"layer{layer}.{block}.conv{number}.weight", *norm(f"layer{layer}.{block}.bn{number}")]
            if block == 0:
                keys += [f"layer{layer}.0.downsample.0.weight", *norm(f"layer{layer}.0.downsample.1")]
    return [*keys, "fc.weight", "fc.bias"]


def test_resnet50_has_the_keys_of_torchvision() -> None:
    network = resnet50(1000, (3, 224, 224))
    assert list(network.state_dict()) == torchvision_keys()
    strided = [name for name, layer in network.named_modules() if getattr(layer, "stride", 1) in (2, (2, 2))]
    blocks = [f"layer{number}.0.{part}" for number in (2, 3, 4) for part in ("conv2", "downsample.0")]
    assert strided == ["conv1", "maxpool", *blocks]


def test_resnet50_equals_torchvision_s() -> None:
    try:
        import torchvision
    except Exception as error:  # beside another build of torch it raises more than ImportError
        pytest.skip(f"torchvision cannot be imported here: {error}")
    theirs: Any = torchvision.models.resnet50(weights=None).eval()
    ours = resnet50(1000, TINY).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, *TINY)
    torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("name", ["resnet56", "resnet56-conv", "resnet50-small"])
def test_initial_weights_are_he_s(name: str) -> None:
    network = build_model(name, num_classes=10, input_shape=CIFAR)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 2_000:
            expected = sqrt(2 / (layer.out_channels * layer.kernel_size[0] ** 2))
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.1)
            assert abs(layer.weight.mean().item()) < 5 * expected / sqrt(layer.weight.numel())
            # A normal distribution has 4.55 % beyond two standard deviations; a uniform one has none.
            assert (layer.weight.abs() > 2 * expected).double().mean().item() == pytest.approx(0.0455, abs=0.025)
        if isinstance(layer, nn.BatchNorm2d):
            assert bool((layer.weight == 1).all())
            assert bool((layer.bias == 0).all())


@pytest.mark.parametrize(("name", "smallest"), [("resnet8", 4), ("ds-cnn", 4), ("resnet50", 32), ("resnet50-small", 8)])
def test_images_that_are_too_small(name: str, smallest: int) -> None:
    build_model(name, num_classes=2, input_shape=(3, smallest, smallest))
    message = f"Images of {smallest}x{smallest - 1} pixels .* at least {smallest}x{smallest}, or a smaller network"
    with pytest.raises(InputError, match=message):
        build_model(name, num_classes=2, input_shape=(3, smallest, smallest - 1))
