"""The network of depthwise-separable convolutions."""

import pytest
import torch
from torch import nn

from osakd import build_model
from osakd.errors import InputError
from osakd.models.cost import count_macs
from osakd.models.registry import MODELS

SHAPE = (3, 32, 32)


def test_its_size_is_the_one_that_is_described() -> None:
    network = build_model("ds-cnn", num_classes=10, input_shape=SHAPE)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert f"{count:,} parameters" in MODELS["ds-cnn"].description
    assert 20_000 <= count <= 80_000
    macs = 32 * 32 * 27 * 32 + 16 * 16 * (9 * 32 + 32 * 64 + 9 * 64 + 64 * 64)
    macs += 8 * 8 * (9 * 64 + 64 * 128 + 2 * (9 * 128 + 128 * 128)) + 128 * 10
    assert count_macs(network, torch.zeros(1, *SHAPE)) == macs


def test_a_block_is_a_convolution_of_each_channel_and_one_over_all() -> None:
    network = build_model("ds-cnn", num_classes=10, input_shape=SHAPE)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [(layer.groups, layer.kernel_size) for layer in convolutions[1:3]] == [(32, (3, 3)), (1, (1, 1))]
    assert len(convolutions) == 11


def test_small_images() -> None:
    assert build_model("ds-cnn", num_classes=3, input_shape=(1, 8, 8))(torch.rand(2, 1, 8, 8)).shape == (2, 3)
    with pytest.raises(InputError, match="Images of 3x3 pixels are too small"):
        build_model("ds-cnn", num_classes=3, input_shape=(1, 3, 3))
