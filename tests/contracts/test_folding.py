"""Folded into channels, replicas of a network compute what each computes alone."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.layers import Layout
from osakd.errors import UnsupportedError
from osakd.models.build import build_model
from osakd.models.resnet import Bottleneck, GlobalAverage


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class InPlace(nn.Module):
    """A residual block that changes its values in place."""

    def __init__(self) -> None:
        super().__init__()
        stem = (nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*stem, nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(81, 5))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.layers(images)
        x += images
        return self.head(F.relu(x, inplace=True))


class InPlaceAndUsedAgain(InPlace):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = before = self.layers(images)
        x += images
        return self.head(x + before)


class OtherSums(InPlace):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.add(self.layers(images), images, alpha=2))


def bottlenecks() -> nn.Module:
    blocks = (Bottleneck(1, 3), Bottleneck(12, 2, stride=2), Bottleneck(8, 2))
    return nn.Sequential(*blocks, GlobalAverage(), nn.Flatten(), nn.Linear(8, 5))


FOLDED: dict[str, Callable[[], nn.Module]] = {
    "resnet8": partial(build_model, "resnet8", num_classes=5, input_shape=(1, 9, 9)),
    "resnet8-conv": partial(build_model, "resnet8-conv", num_classes=5, input_shape=(1, 9, 9)),
    "bottlenecks": bottlenecks,
    "in place": InPlace,
}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("model", FOLDED)
def test_folded_networks_are_the_networks(float64: None, model: str, groups: int) -> None:
    """Outputs, gradients and BatchNorm's statistics; two replicas share images in one group, not in two."""
    networks: list[nn.Module] = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        networks.append(FOLDED[model]().to(memory_format=torch.channels_last))
    folded = FoldedNetwork(networks, Layout(2, groups), (1, 9, 9))
    images = torch.rand(6, groups, 9, 9)
    outputs = folded.train()(list(images.split(1, dim=1)))
    outputs.square().sum().backward()
    for number, network in enumerate(networks):
        expected = network.train()(images[:, [number % groups]])
        expected.square().sum().backward()
        torch.testing.assert_close(outputs[number], expected)
        for name, parameter in network.named_parameters():
            gradient = folded.find(name).grad.view(2, *parameter.shape)[number]
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-6, atol=1e-9)
        for name, buffer in network.named_buffers():
            torch.testing.assert_close(folded.stacked(name, buffer.shape)[number], buffer)


@pytest.mark.parametrize(("network", "reason"), [(InPlaceAndUsedAgain, "iadd"), (OtherSums, "method add")])
def test_sums_that_are_not_folded(network: type[nn.Module], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        FoldedNetwork([network(), network()], Layout(2, 2), (1, 9, 9))
