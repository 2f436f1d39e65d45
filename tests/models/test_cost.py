"""The counts of a network: hooks against PyTorch's own counter, against loops, and against what is known."""

import pytest
import torch
from torch import nn

from osakd.models.build import build_model
from osakd.models.cost import count_macs, count_parameters, flop_counter

META = torch.device("meta")
GROUPED = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU(), nn.Conv2d(8, 12, (1, 3), 2, groups=4))
NETWORKS = {
    "lenet": ((3, 32, 32), 10),
    "resnet20": ((3, 32, 32), 10),
    "resnet50-small": ((3, 64, 64), 200),
    "grouped": ((8, 9, 7), 0),
}


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network on the device ``meta``, and three images."""
    shape, classes = NETWORKS.get(name, ((3, 32, 32), 10))
    network = GROUPED if name == "grouped" else build_model(name, num_classes=classes, input_shape=shape)
    return network.to(META), torch.zeros(3, *shape, device=META)


@pytest.mark.parametrize("name", NETWORKS)
def test_hooks_count_what_pytorch_counts(name: str) -> None:
    network, images = build(name)
    with flop_counter() as counter:
        network(images)
    assert count_macs(network, images) == counter.get_total_flops() / 2 / len(images)


@pytest.mark.parametrize(
    ("name", "macs", "flops"),
    [("lenet", 0.652e6, 3.205e6), ("resnet32", 68.9e6, 412e6), ("resnet110", 252.9e6, 1516e6)],
)
def test_known_numbers_of_forward_and_backward(name: str, macs: float, flops: float) -> None:
    network, images = build(name)
    assert count_macs(network, images) == pytest.approx(macs, rel=1e-3)
    with flop_counter() as counter:
        network(images).sum().backward()
    assert counter.get_total_flops() / len(images) == pytest.approx(flops, rel=1e-3)


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_s_gradients_cost_one_forward_pass_each(groups: int, stride: int) -> None:
    layer = nn.Conv2d(8, 16, 3, stride=stride, padding=1, groups=groups, device=META)
    images = torch.zeros(2, 8, 10, 10, device=META)
    # By a loop over what is multiplied: images, filters, their pixels, and the inputs of each.
    side = 10 // stride
    forward = sum(2 * (8 // groups) * 9 for _ in range(2) for _ in range(16) for _ in range(side * side))
    for needs_input_gradient, times in ((False, 2), (True, 3)):
        with flop_counter() as counter:
            layer(images.requires_grad_(needs_input_gradient)).sum().backward()
        assert counter.get_total_flops() == times * forward


def test_counting_leaves_the_network_as_it_was() -> None:
    network = build_model("resnet8", num_classes=10, input_shape=(3, 32, 32))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for training in (True, False):
        count_macs(network.train(training), torch.rand(2, 3, 32, 32))
        assert all(layer.training == training for layer in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())


def test_parameters_that_train() -> None:
    network = build_model("lenet", num_classes=10, input_shape=(3, 32, 32))
    assert count_parameters(network) == count_parameters(network, trained=True) == 62_006
    next(network.parameters()).requires_grad_(False)
    assert count_parameters(network, trained=True) == 62_006 - 6 * 3 * 25
    assert count_parameters(network) == 62_006


def test_depthwise_blocks_are_convolutions_of_each_channel_and_over_all() -> None:
    network, images = build("ds-cnn")
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [(layer.groups, layer.kernel_size) for layer in convolutions[1:3]] == [(32, (3, 3)), (1, (1, 1))]
    assert len(convolutions) == 11
    macs = 32 * 32 * 27 * 32 + 16 * 16 * (9 * 32 + 32 * 64 + 9 * 64 + 64 * 64)
    macs += 8 * 8 * (9 * 64 + 64 * 128 + 2 * (9 * 128 + 128 * 128)) + 128 * 10
    assert count_macs(network, images) == macs
