"""The network that is exported computes what the trained network computes."""

import pytest
import torch
from torch import nn

from osakd import build_model
from osakd.deploy.export import DeployableNetwork
from osakd.models.normalise import Normalise

MEAN, STD = [0.49, 0.48, 0.45], [0.25, 0.24, 0.26]


def network_of(model: str) -> nn.Sequential:
    torch.manual_seed(0)
    return build_model(model, num_classes=10, input_shape=(3, 32, 32), normalise=Normalise(MEAN, STD)).eval()


@pytest.mark.parametrize("model", ["lenet", "ds-cnn", "resnet8"])
def test_it_computes_the_network_in_floats_and_in_pixels(model: str) -> None:
    network = network_of(model)
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    expected = network(pixels / 255)
    for deployable, images in (
        (DeployableNetwork(network, pixels=False), pixels / 255),
        (DeployableNetwork(network, pixels=True), pixels),
    ):
        torch.testing.assert_close(deployable(images), expected, rtol=1e-5, atol=1e-5)


def test_relu_stands_before_the_pooling_and_changes_no_bit() -> None:
    network = network_of("lenet")
    deployable = DeployableNetwork(network, pixels=False)
    assert [type(layer) for layer in deployable.network.stage1] == [nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    assert [type(layer) for layer in network[1].stage1] == [nn.Conv2d, nn.MaxPool2d, nn.ReLU]
    scaled = torch.randn(4, 3, 32, 32)
    assert torch.equal(deployable.network(scaled), network[1](scaled))
