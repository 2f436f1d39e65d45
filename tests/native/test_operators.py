"""The kernel computes what PyTorch's operators compute: outputs, gradients, ties, and values that are not finite."""

from itertools import product

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from osakd.native.kernels.checks import check
from osakd.native.kernels.operators import _BACKWARD, _FORWARD, Plan, network
from tests.native.networks import Made, gradients, made, relative

OPERATIONS = 3e7
pytestmark = [pytest.mark.usefixtures("instructions"), pytest.mark.compiler]
SPECIAL = [float("nan"), float("inf"), -float("inf"), -0.0, 1e-45, 3e38, -3e38]


def exact(network: Made, images: Tensor) -> tuple[Made, Tensor]:
    """The same with values of few binary digits: both stages' sums are exact, so that only true ties are ties."""
    first = 2 * len(network.stages)
    with torch.no_grad():
        for number, one in enumerate(network.parameters):
            if number < first:
                one.copy_((8 * one).round().clamp(-8, 8) / 8)
    return network, (4 * images).round().clamp(-8, 8) / 4


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(
    channels=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    kernels=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    paddings=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    side=st.tuples(st.integers(4, 40), st.integers(4, 40)),
    batch=st.integers(1, 130),
    stages=st.integers(1, 2),
    outputs=st.sampled_from([(), (7,), (18, 33, 5)]),
    bias=st.booleans(),
    relu_first=st.booleans(),
)
@example((3, 6, 16), (5, 5), (0, 0), (32, 32), 64, 2, (120, 84, 10), True, False)
@example((1, 40, 40), (7, 7), (3, 0), (40, 17), 33, 2, (3,), True, True)
def test_gradients_are_pytorchs(channels, kernels, paddings, side, batch, stages, outputs, bias, relu_first) -> None:
    """Within a hundred-thousandth of the norm of float64's."""
    shape, convolutions = (channels[0], *side), []
    size, cost = side, 0.0
    for number in range(stages):
        kernel, padding = kernels[number], paddings[number]
        size = tuple((one + 2 * padding - kernel + 1) // 2 for one in size)
        if min(size) < 1:
            break
        convolutions.append((channels[number + 1], kernel, padding))
        cost += 4 * size[0] * size[1] * kernel**2 * channels[number] * channels[number + 1]
    if not convolutions:
        return
    batch = max(1, min(batch, int(OPERATIONS / cost)))
    net, images = exact(made(shape, convolutions, outputs, bias=bias), torch.randn(batch, *shape))
    inputs = [images.requires_grad_(), *net.parameters]
    found, expected = net.outputs(images), net.expected(images, relu_first=relu_first)
    assert relative(found, expected) < 1e-5
    towards = torch.randn(found.shape)
    for one, other in zip(gradients(found, towards, inputs), gradients(expected, towards, inputs), strict=True):
        assert relative(one, other) < 1e-5


def test_the_first_of_equal_pixels_gets_the_gradient() -> None:
    net = made((2, 9, 11), [(5, 3, 1)])
    images = torch.ones(20, 2, 9, 11).requires_grad_()
    with torch.no_grad():
        net.parameters[1].fill_(1.0)
        net.parameters[0].zero_()[:, :, 1, 1] = 0.5
    inputs = [images, *net.parameters]
    found, expected = net.outputs(images), net.expected(images)
    towards = torch.randn(found.shape)
    for one, other in zip(gradients(found, towards, inputs), gradients(expected, towards, inputs), strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("relu_first", [False, True])
@pytest.mark.parametrize("value", SPECIAL)
def test_special_values_pass_as_in_pytorch(value: float, relu_first: bool) -> None:
    """In images and in weights: every output is the same, and so is every gradient of the linear layer."""
    for place in ("image", "weight"):
        net = made((3, 12, 12), [(4, 3, 1), (5, 3, 0)], [6, 3])
        images = torch.randn(37, 3, 12, 12)
        with torch.no_grad():
            (images if place == "image" else net.parameters[0])[:, 1, 1, 1] = value
        found, expected = net.outputs(images), net.expected(images, torch.float32, relu_first=relu_first)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4, equal_nan=True)
        towards = torch.randn(found.shape)
        linear = net.parameters[4:]
        for one, other in zip(gradients(found, towards, linear), gradients(expected, towards, linear), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3, equal_nan=True)


def test_of_several_nans_and_infinities_the_one_of_pytorch_wins() -> None:
    """Each window of a convolution that copies its image holds every combination of four special values."""
    values = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0, -1.0, 0.0])
    windows = torch.stack([values[list(which)] for which in product(range(6), repeat=4)]).view(36, 36, 2, 2)
    images = windows.permute(0, 2, 1, 3).reshape(1, 1, 72, 72).repeat(3, 1, 1, 1).requires_grad_()
    net = made((1, 72, 72), [(1, 1, 0)], bias=False)
    with torch.no_grad():
        net.parameters[0].fill_(1.0)
    found, expected = net.outputs(images), F.relu(F.max_pool2d(images, 2)).flatten(1)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    towards = torch.rand(found.shape) + 1
    (one,), (other,) = (torch.autograd.grad(outputs, images, towards) for outputs in (found, expected))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_gradient_that_is_not_finite_reaches_the_weights() -> None:
    net = made((3, 12, 12), [(4, 3, 1)], [3])
    found = net.outputs(torch.randn(5, 3, 12, 12))
    towards = torch.zeros_like(found)
    towards[2, 1] = torch.nan
    assert all(one.isnan().any() for one in gradients(found, towards, net.parameters))


def test_images_of_bytes_are_scaled_per_channel() -> None:
    net = made((3, 13, 10), [(6, 3, 1)], [4])
    images = torch.randint(0, 256, (21, 3, 13, 10), dtype=torch.uint8)
    scale, shift = torch.tensor([[0.01, 0.02, 0.005]]), torch.tensor([[-1.0, 0.5, 0.0]])
    found = network([images], net.parameters, scale, shift, Plan(net.stages, net.widths, 21), 1)[0]
    scaled = images * scale[:, :, None, None] + shift[:, :, None, None]
    torch.testing.assert_close(found, net.expected(scaled).float(), rtol=1e-4, atol=1e-4)


def replicas_and_inputs() -> tuple[list[Made], list[Tensor], list[Tensor], Tensor, Tensor, Plan]:
    nets = [made((3, 15, 14), [(7, 5, 1), (9, 3, 0)], [11, 5], seed=seed) for seed in range(6)]
    images = [torch.randn(70, 3, 15, 14) for _ in range(2)]
    each = zip(*[net.parameters for net in nets], strict=True)
    stacked = [torch.cat([one.detach() for one in tensors]).requires_grad_() for tensors in each]
    scale, shift = torch.rand(2, 3) + 0.5, torch.randn(2, 3)
    return nets, images, stacked, scale, shift, Plan(nets[0].stages, nets[0].widths, 70, seeds=2, each=3)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_replicas_equal_networks_one_by_one(threads: int) -> None:
    """Bit for bit, with any number of threads."""
    nets, images, stacked, scale, shift, plan = replicas_and_inputs()
    found = network(images, stacked, scale, shift, plan, threads)
    towards = torch.randn(found.shape)
    own = gradients(found, towards, stacked)
    for number, net in enumerate(nets):
        seed = number // 3
        alone = Plan(net.stages, net.widths, 70)
        outputs = network([images[seed]], net.parameters, scale[seed : seed + 1], shift[seed : seed + 1], alone, 1)
        assert torch.equal(outputs[0], found[number])
        with torch.no_grad():
            evaluated = network(
                [images[seed]], net.parameters, scale[seed : seed + 1], shift[seed : seed + 1], alone, 1
            )
        assert torch.equal(evaluated, outputs)
        for one, all_replicas in zip(
            gradients(outputs, towards[number : number + 1], net.parameters), own, strict=True
        ):
            assert torch.equal(one, all_replicas.unflatten(0, (6, -1))[number])


@pytest.mark.parametrize("batch", [1, 31, 100])
def test_one_network_is_the_same_with_any_number_of_threads(batch: int) -> None:
    """It is large enough for three of them."""
    net = made((3, 20, 20), [(16, 5, 0)], [4])
    images = torch.randn(batch, 3, 20, 20).requires_grad_()
    results = []
    for threads in (1, 2, 3):
        outputs = net.outputs(images, threads)
        results.append([outputs, *gradients(outputs, torch.ones_like(outputs), [images, *net.parameters])])
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


def test_images_that_replicas_share_get_the_sum_of_their_gradients() -> None:
    nets, images, stacked, scale, shift, plan = replicas_and_inputs()
    images = [one.requires_grad_() for one in images]
    found = network(images, stacked, scale, shift, plan, 1)
    towards = torch.randn(found.shape)
    own = torch.autograd.grad(found, images, towards)
    for seed, image in enumerate(images):
        scaled = image * scale[seed][:, None, None] + shift[seed][:, None, None]
        outputs = torch.stack([net.expected(scaled) for net in nets[3 * seed : 3 * seed + 3]])
        (expected,) = torch.autograd.grad(outputs, image, towards[3 * seed : 3 * seed + 3].double())
        assert relative(own[seed], expected) < 1e-4


def test_the_operators_keep_pytorchs_rules() -> None:
    """Schema, fake tensors, autograd; what the backward pass reads has gaps, so it is not compared."""
    net = made((2, 8, 8), [(3, 3, 1)], [4])
    images = torch.randn(5, 2, 8, 8).contiguous(memory_format=torch.channels_last)
    one, zero = torch.ones(1, 2), torch.zeros(1, 2)
    plan = Plan(net.stages, net.widths, 5).numbers()
    frozen = [parameter.detach() for parameter in net.parameters]
    torch.library.opcheck(_FORWARD, ([images], frozen, one, zero, plan, False, 1))
    rules = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(
        _FORWARD, ([images.requires_grad_()], net.parameters, one, zero, plan, True, 1), test_utils=rules
    )
    outputs, workspace = _FORWARD([images], net.parameters, one, zero, plan, True, 1)
    arguments = (torch.ones_like(outputs), workspace.detach(), frozen, one, plan, True, 1)
    torch.library.opcheck(_BACKWARD, tuple(arguments))


def test_a_network_passes_the_check() -> None:
    net = made((1, 8, 8), [(16, 3, 1), (32, 3, 1)], [64, 10])
    check(net.stages, net.widths)
