"""The kernel is compared with PyTorch before it is used: once for each shape of a network, and once on soft labels."""

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import UnsupportedError
from osakd.labels.posterior import Pool, count_votes
from osakd.labels.reliability import Reliability
from osakd.losses.osakd import OSAKDLoss
from osakd.native.kernels.labels import native_labels, native_loss
from osakd.native.kernels.library import load
from osakd.native.kernels.operators import Plan, Stage, network

_IMAGES = 35
"""More than a group of the kernel, and a part of one."""
_NETWORK_TOLERANCE = 1e-2
"""Of the norm of an output or a gradient. A near tie in a pooling window may send one gradient elsewhere, a few
thousandths of a norm; a fault is of the order of 1."""
_LABELS_TOLERANCE = 1e-4


def check(stages: tuple[Stage, ...], widths: tuple[int, ...]) -> None:
    """Compares outputs and gradients with PyTorch's, in float64; an UnsupportedError: they differ, or no kernel."""
    load()
    if (difference := _network_difference(stages, widths)) > _NETWORK_TOLERANCE:
        raise _differs(difference, "this network")


def check_labels() -> None:
    """Compares a loss, its gradient and a search with PyTorch's; an UnsupportedError: they differ, or no kernel."""
    load()
    if (difference := _labels_difference()) > _LABELS_TOLERANCE:
        raise _differs(difference, "soft labels")


def _differs(difference: float, what: str) -> UnsupportedError:
    return UnsupportedError(f"the native kernel and PyTorch differ by {difference:.1g} on {what}: please report it")


@cache
def _network_difference(stages: tuple[Stage, ...], widths: tuple[int, ...]) -> float:
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
        images, *parameters = [tensor.requires_grad_() for tensor in inputs]
        scale, shift = torch.ones(1, first.channels), torch.zeros(1, first.channels)
        outputs = network([images], parameters, scale, shift, Plan(stages, widths, _IMAGES), threads=1)[0]
        expected = _reference(images.double(), [tensor.double() for tensor in parameters], stages)
        towards = torch.randn(outputs.shape, generator=generator)
        # Of a scalar: torch.autograd imports SymPy for the gradient of anything else.
        ours = [outputs, *torch.autograd.grad((outputs * towards).sum(), inputs)]
        theirs = [expected, *torch.autograd.grad((expected * towards).sum(), inputs)]
    shares = [(a - b).norm() / b.norm().clamp(min=1e-30) for a, b in zip(ours, theirs, strict=True)]
    return float(torch.stack(shares).detach().max())


def _reference(images: Tensor, parameters: list[Tensor], stages: tuple[Stage, ...]) -> Tensor:
    """What the kernel computes, with PyTorch's operators: logits ``[n, c]``, or flat maps without linear layers."""
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    x = images
    for stage, (weight, bias) in zip(stages, layers, strict=False):
        x = F.relu(F.max_pool2d(F.conv2d(x, weight, bias, padding=stage.padding), 2))
    x = x.flatten(1)
    for number, (weight, bias) in enumerate(layers[len(stages) :]):
        x = F.linear(F.relu(x) if number else x, weight, bias)
    return x


@cache
def _labels_difference() -> float:
    """The largest difference of a value."""
    generator = torch.Generator().manual_seed(0)
    target, valid = torch.arange(33) % 5, torch.arange(33) % 7 > 0
    logits = torch.randn(33, 5, generator=generator) + 2 * torch.eye(5)[target]
    ours, theirs = (_label_values(logits, target, valid, native=native) for native in (True, False))
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


def _label_values(logits: Tensor, target: Tensor, valid: Tensor, *, native: bool) -> list[Tensor]:
    """The loss, its gradient, and the neighbours among some of the samples."""
    reliability = Reliability(momentum=0.0, power=2.0)
    as_method = {"include_self": False, "ignore_index": None, "gather": False}
    criterion = OSAKDLoss(5, 4, reliability=reliability, pseudo_count=0.5, label_smoothing=0.1, **as_method)
    inputs = logits.clone().requires_grad_()
    pool = Pool(logits, target, valid, torch.arange(33))
    if not native:
        votes, total = count_votes(logits, pool, 5, 4, include_self=False), criterion(inputs, target)
    else:
        with native_labels():
            votes, loss = count_votes(logits, pool, 5, 4, include_self=False), native_loss(criterion, inputs, target)
        total = logits.sum() if loss is None else loss.total
    total.backward()
    return [total.detach(), inputs.grad, votes.rows, votes.classes]  # type: ignore[list-item]
