"""Networks for the kernel, with PyTorch's operators as reference."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from osakd.native.kernels.operators import Plan, Stage, network


class Made(NamedTuple):
    stages: tuple[Stage, ...]
    widths: tuple[int, ...]
    parameters: list[Tensor]

    def outputs(self, images: Tensor, threads: int = 1) -> Tensor:
        channels = images.shape[1]
        plan = Plan(self.stages, self.widths, len(images))
        one, zero = torch.ones(1, channels), torch.zeros(1, channels)
        return network([images], self.parameters, one, zero, plan, threads)[0]

    def expected(self, images: Tensor, dtype: torch.dtype = torch.float64, *, relu_first: bool = False) -> Tensor:
        x, layers = images.to(dtype), [one.to(dtype) if one.numel() else None for one in self.parameters]
        pairs = list(zip(layers[::2], layers[1::2], strict=True))
        for stage, (weight, bias) in zip(self.stages, pairs, strict=False):
            x = F.conv2d(x, weight, bias, padding=stage.padding)
            x = F.max_pool2d(F.relu(x), 2) if relu_first else F.relu(F.max_pool2d(x, 2))
        x = x.flatten(1)
        for number, (weight, bias) in enumerate(pairs[len(self.stages) :]):
            x = F.linear(F.relu(x) if number else x, weight, bias)
        return x


def made(
    shape: tuple[int, int, int],
    convolutions: Sequence[tuple[int, int, int]],
    outputs: Sequence[int] = (),
    *,
    seed: int = 0,
    bias: bool = True,
) -> Made:
    """A network of convolutions (filters, kernel, padding) on images of a shape, and linear layers of these outputs."""
    torch.manual_seed(seed)
    channels, height, width = shape
    stages, shapes = [], []
    for filters, kernel, padding in convolutions:
        stages.append(Stage(channels, height, width, filters, kernel, padding))
        shapes.append((filters, channels, kernel, kernel))
        channels, height, width = stages[-1].pooled
    widths = (channels * height * width, *outputs) if outputs else ()
    shapes += [(below, above) for above, below in pairwise(widths)]
    parameters = []
    for size in shapes:
        fan_in = torch.Size(size[1:]).numel()
        parameters += [torch.randn(size) / fan_in**0.5, 0.1 * torch.randn(size[0] if bias else 0)]
    return Made(tuple(stages), widths, [one.requires_grad_(one.numel() > 0) for one in parameters])


def gradients(outputs: Tensor, towards: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    wanted = [one for one in inputs if one.requires_grad]
    return list(torch.autograd.grad(outputs, wanted, towards.to(outputs.dtype)))


def relative(one: Tensor, other: Tensor) -> float:
    return float((one.detach() - other.detach()).norm() / other.detach().norm().clamp(min=1e-12))
