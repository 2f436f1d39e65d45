"""The native kernel as PyTorch operators: a whole network, or many replicas of it, forward and backward.

The operators have fake and autograd registrations, so that fake tensors and ``torch.compile`` see them as one call.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from osakd.kernels.library import load

_Pointer = ctypes.c_void_p


class Stage(NamedTuple):
    """A convolution of stride 1, followed by max-pooling of 2 and ReLU in either order.

    Attributes:
        channels: channels of the input.
        height: height of the input, without padding.
        width: width of the input, without padding.
        filters: channels of the output.
        kernel: side of the kernel, 1 to 7.
        padding: zeros on each side.
    """

    channels: int
    height: int
    width: int
    filters: int
    kernel: int
    padding: int

    @property
    def pooled(self) -> tuple[int, int, int]:
        """Channels, height and width of the output."""
        height, width = ((side + 2 * self.padding - self.kernel + 1) // 2 for side in (self.height, self.width))
        return self.filters, height, width


class Plan(NamedTuple):
    """What a call computes.

    Attributes:
        stages: the convolutions.
        widths: features, and outputs of each linear layer; empty without linear layers.
        images: number of images.
        seeds: number of groups of replicas that share images.
        each: number of replicas in a group.
    """

    stages: tuple[Stage, ...]
    widths: tuple[int, ...]
    images: int
    seeds: int = 1
    each: int = 1

    def numbers(self) -> list[int]:
        """The plan as the kernel reads it."""
        linears = max(0, len(self.widths) - 1)
        flat = [number for stage in self.stages for number in stage]
        return [len(self.stages), linears, self.images, self.seeds, self.each, *flat, *self.widths]


def network(
    images: Sequence[Tensor], parameters: Sequence[Tensor], scale: Tensor, shift: Tensor, plan: Plan, threads: int
) -> Tensor:
    """The outputs of a network, or of replicas of it, with gradients for the parameters and the images.

    Args:
        images: of each seed ``[n, channels, h, w]``, float32, or uint8 of 0 to 255.
        parameters: weight and bias of each layer, in their order, each of all replicas along its first axis; an empty
            tensor stands for no bias.
        scale: factor of each seed's channels ``[seeds, channels]``.
        shift: added after that ``[seeds, channels]``.
        plan: what to compute.
        threads: number of threads.

    Returns:
        Logits ``[seeds * each, n, c]``; without linear layers the maps, flat.
    """
    images = [one.contiguous(memory_format=torch.channels_last) for one in images]
    parameters = [
        one.contiguous(memory_format=torch.channels_last if one.ndim == 4 else torch.contiguous_format)
        for one in parameters
    ]
    keep = torch.is_grad_enabled() and any(one.requires_grad for one in (*parameters, *images))
    return _forward(images, parameters, scale, shift, plan.numbers(), keep, threads)[0]


@torch.library.custom_op("osakd::network", mutates_args=(), device_types="cpu")
def _forward(
    images: list[Tensor],
    parameters: list[Tensor],
    scale: Tensor,
    shift: Tensor,
    plan: list[int],
    keep: bool,
    threads: int,
) -> tuple[Tensor, Tensor]:
    """The outputs, and what the backward pass reads (empty unless ``keep``)."""
    library, numbers = load(), _numbers(plan)
    logits = images[0].new_empty(_output_shape(plan), dtype=torch.float32)
    workspace = logits.new_empty(library.osakd_workspace(numbers) if keep else 0)
    library.osakd_forward(
        numbers,
        _pointers(images),
        int(images[0].dtype == torch.uint8),
        _Pointer(scale.data_ptr()),
        _Pointer(shift.data_ptr()),
        _pointers(parameters),
        _Pointer(logits.data_ptr()),
        _Pointer(workspace.data_ptr() or None),
        threads,
    )
    return logits, workspace


@_forward.register_fake
def _(
    images: list[Tensor],
    parameters: list[Tensor],  # noqa: ARG001 - the operator's arguments
    scale: Tensor,  # noqa: ARG001
    shift: Tensor,  # noqa: ARG001
    plan: list[int],
    keep: bool,
    threads: int,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    size = load().osakd_workspace(_numbers(plan)) if keep else 0
    return images[0].new_empty(_output_shape(plan), dtype=torch.float32), images[0].new_empty(size, dtype=torch.float32)


@torch.library.custom_op("osakd::network_backward", mutates_args=(), device_types="cpu")
def _backward(
    gradient: Tensor,
    workspace: Tensor,
    parameters: list[Tensor],
    scale: Tensor,
    plan: list[int],
    for_images: bool,
    threads: int,
) -> list[Tensor]:
    """The gradients of the parameters, then of the images of each replica ``[replicas * n, channels, h, w]``."""
    gradients = [torch.empty_like(one) for one in parameters]
    images = _image_gradient(gradient, plan) if for_images else None
    load().osakd_backward(
        _numbers(plan),
        _Pointer(scale.data_ptr()),
        _pointers(parameters),
        _Pointer(workspace.data_ptr()),
        _Pointer(gradient.data_ptr()),
        _pointers(gradients),
        _Pointer(None if images is None else images.data_ptr()),
        threads,
    )
    return gradients if images is None else [*gradients, images]


@_backward.register_fake
def _(
    gradient: Tensor,
    workspace: Tensor,  # noqa: ARG001 - the operator's arguments
    parameters: list[Tensor],
    scale: Tensor,  # noqa: ARG001
    plan: list[int],
    for_images: bool,
    threads: int,  # noqa: ARG001
) -> list[Tensor]:
    gradients = [torch.empty_like(one) for one in parameters]
    return [*gradients, _image_gradient(gradient, plan)] if for_images else gradients


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    images, parameters, scale, _, ctx.plan, _, ctx.threads = inputs
    ctx.count = len(images)
    ctx.for_images = any(one.requires_grad for one in images)
    ctx.save_for_backward(output[1], scale, *parameters)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Any, ...]:
    workspace, scale, *parameters = ctx.saved_tensors
    found = _backward(gradient.contiguous(), workspace, parameters, scale, ctx.plan, ctx.for_images, ctx.threads)
    images: list[Tensor | None] = [None] * ctx.count
    if ctx.for_images:
        *found, of_replicas = found
        _, _, n, seeds, each, *_ = ctx.plan
        images = list(of_replicas.unflatten(0, (seeds, each, n)).sum(1).unbind())
    return images, found, None, None, None, None, None


_forward.register_autograd(_differentiate, setup_context=_setup)


def _output_shape(plan: Sequence[int]) -> tuple[int, int, int]:
    stages, linears, n, seeds, each, *rest = plan
    if linears:
        return seeds * each, n, rest[-1]
    filters, height, width = Stage(*rest[6 * (stages - 1) : 6 * stages]).pooled
    return seeds * each, n, filters * height * width


def _image_gradient(like: Tensor, plan: Sequence[int]) -> Tensor:
    _, _, n, seeds, each, channels, height, width, *_ = plan
    shape = (seeds * each * n, channels, height, width)
    return like.new_empty(shape).contiguous(memory_format=torch.channels_last)


def _numbers(plan: Sequence[int]) -> Any:
    return (ctypes.c_int64 * len(plan))(*plan)


def _pointers(tensors: Sequence[Tensor]) -> Any:
    """The addresses of the tensors; null for an empty one."""
    return (_Pointer * len(tensors))(*[one.data_ptr() or None for one in tensors])
