"""The kernel is compared with PyTorch once for each shape of a network, before it is used."""

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.native.kernels.build import NoKernelError
from osakd.native.kernels.library import instruction_set
from osakd.native.kernels.operators import Plan, Stage, network

_IMAGES = 35
"""More than a group of the kernel, and a part of one."""
_TOLERANCE = 1e-2
"""Of the norm of an output or a gradient. A near tie in a pooling window may send one gradient elsewhere, a few
thousandths of a norm; a fault is of the order of 1."""


def reference(images: Tensor, parameters: list[Tensor], stages: tuple[Stage, ...], linears: int) -> Tensor:
    """What the kernel computes, with PyTorch's operators: logits ``[n, c]``, or flat maps without linear layers."""
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    x = images
    for stage, (weight, bias) in zip(stages, layers, strict=False):
        x = F.relu(F.max_pool2d(F.conv2d(x, weight, bias if bias.numel() else None, padding=stage.padding), 2))
    x = x.flatten(1)
    for number, (weight, bias) in enumerate(layers[len(stages) :]):
        x = F.linear(F.relu(x) if number else x, weight, bias if bias.numel() else None)
    assert len(layers) == len(stages) + linears  # noqa: S101 - the caller's plan
    return x


def check(stages: tuple[Stage, ...], widths: tuple[int, ...]) -> None:
    """Compares outputs and gradients with PyTorch's, in float64, on random images; once in a process for each shape.

    Raises:
        NoKernelError: they differ, or there is no kernel.
    """
    instruction_set()  # raises where there is none
    if (difference := _difference(stages, widths)) > _TOLERANCE:
        raise NoKernelError(
            f"the native kernel and PyTorch differ by {difference:.1g} on this network: please report it"
        )


@cache
def _difference(stages: tuple[Stage, ...], widths: tuple[int, ...]) -> float:
    """The largest difference of an output or a gradient, as a share of its norm."""
    generator = torch.Generator().manual_seed(0)
    first = stages[0]
    shapes = [(stage.filters, stage.channels, stage.kernel, stage.kernel) for stage in stages]
    shapes += [(outputs, inputs) for inputs, outputs in pairwise(widths)]
    inputs = [torch.randn(_IMAGES, first.channels, first.height, first.width, generator=generator)]
    for shape in shapes:
        fan_in = torch.Size(shape[1:]).numel()
        inputs += [torch.randn(shape, generator=generator) / fan_in**0.5, torch.randn(shape[0], generator=generator)]
    with torch.enable_grad():
        images, *parameters = [one.requires_grad_() for one in inputs]
        scale, shift = torch.ones(1, first.channels), torch.zeros(1, first.channels)
        found = network([images], parameters, scale, shift, Plan(stages, widths, _IMAGES), threads=1)[0]
        expected = reference(images.double(), [one.double() for one in parameters], stages, max(0, len(widths) - 1))
        towards = torch.randn(found.shape, generator=generator)
        own = [found, *torch.autograd.grad(found, inputs, towards)]
        others = [expected, *torch.autograd.grad(expected, inputs, towards.double())]
    shares = [(one - other).norm() / other.norm().clamp(min=1e-30) for one, other in zip(own, others, strict=True)]
    return float(torch.stack(shares).detach().max())
