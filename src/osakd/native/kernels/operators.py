"""The native kernel as PyTorch operators: a whole network, or many replicas of it, forward and backward.

The operators have fake and autograd registrations, so that fake tensors and ``torch.compile`` see them as one call.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from osakd.native.kernels.library import load

_Pointer = ctypes.c_void_p


class Stage(NamedTuple):
    """A convolution of stride 1, followed by max-pooling of 2 and ReLU in either order.

    Attributes:
        height: height of the input, without padding.
        width: width of the input, without padding.
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
        widths: features, and outputs of each linear layer; empty without linear layers.
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
    images = [of_seed.contiguous(memory_format=torch.channels_last) for of_seed in images]
    parameters = [
        tensor.contiguous(memory_format=torch.channels_last if tensor.ndim == 4 else torch.contiguous_format)
        for tensor in parameters
    ]
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*parameters, *images))
    return _FORWARD(images, parameters, scale, shift, plan.numbers(), keep, threads)[0]


# Defined below ``torch.library.custom_op``, whose own bookkeeping takes as long as a third of a LeNet's step.
_LIBRARY = torch.library.Library("osakd", "FRAGMENT")
_LIBRARY.define(
    "network(Tensor[] images, Tensor[] parameters, Tensor scale, Tensor shift, SymInt[] plan, bool keep, int threads) "
    "-> (Tensor, Tensor)"
)
_LIBRARY.define(
    "network_backward(Tensor gradient, Tensor workspace, Tensor[] parameters, Tensor scale, SymInt[] plan, "
    "bool for_images, int threads) -> Tensor[]"
)
_FORWARD: Any = torch.ops.osakd.network.default
_BACKWARD: Any = torch.ops.osakd.network_backward.default


def _forward(
    images: Sequence[Tensor],
    parameters: Sequence[Tensor],
    scale: Tensor,
    shift: Tensor,
    plan: Sequence[int],
    keep: bool,
    threads: int,
) -> tuple[Tensor, Tensor]:
    """The outputs, and what the backward pass reads (empty unless ``keep``)."""
    library, numbers = load(), _numbers(plan)
    logits, workspace = _outputs(images, plan, keep)
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


def _backward(
    gradient: Tensor,
    workspace: Tensor,
    parameters: Sequence[Tensor],
    scale: Tensor,
    plan: Sequence[int],
    for_images: bool,
    threads: int,
) -> list[Tensor]:
    """The gradients of the parameters, then of the images of each replica ``[replicas * n, channels, h, w]``."""
    gradients = _gradients(gradient, parameters, plan, for_images)
    load().osakd_backward(
        _numbers(plan),
        _Pointer(scale.data_ptr()),
        _pointers(parameters),
        _Pointer(workspace.data_ptr()),
        _Pointer(gradient.data_ptr()),
        _pointers(gradients[: len(parameters)]),
        _Pointer(gradients[-1].data_ptr() if for_images else None),
        threads,
    )
    return gradients


class _Differentiable(torch.autograd.Function):
    """The operator with gradients. The numbers come first: autograd looks at tensors that are arguments themselves."""

    @staticmethod
    def forward(ctx: Any, plan: Sequence[int], keep: bool, threads: int, count: int, *tensors: Tensor) -> Any:
        scale, shift, *rest = tensors
        images, parameters = rest[:count], rest[count:]
        with torch._C._AutoDispatchBelowAutograd():
            logits, workspace = _FORWARD(images, parameters, scale, shift, plan, keep, threads)
        ctx.plan, ctx.threads, ctx.count = plan, threads, count
        ctx.save_for_backward(workspace, scale, *parameters)
        ctx.mark_non_differentiable(workspace)
        ctx.set_materialize_grads(False)  # zeros as large as the workspace
        return logits, workspace

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        workspace, scale, *parameters = ctx.saved_tensors
        for_images = any(ctx.needs_input_grad[6 : 6 + ctx.count])
        gradient = gradients[0].contiguous()
        of_inputs = _BACKWARD(gradient, workspace, parameters, scale, ctx.plan, for_images, ctx.threads)
        images: Sequence[Tensor | None] = [None] * ctx.count
        if for_images:
            _, _, n, seeds, each, *_ = ctx.plan
            images = of_inputs.pop().unflatten(0, (seeds, each, n)).sum(1).unbind()
        return None, None, None, None, None, None, *images, *of_inputs


def _with_gradients(
    images: Sequence[Tensor], parameters: Sequence[Tensor], scale: Tensor, shift: Tensor, *numbers: Any
) -> tuple[Tensor, Tensor]:
    return _Differentiable.apply(*numbers, len(images), scale, shift, *images, *parameters)  # type: ignore[no-any-return]


def _outputs(images: Sequence[Tensor], plan: Sequence[int], keep: bool) -> tuple[Tensor, Tensor]:
    size = load().osakd_workspace(_numbers(plan)) if keep else 0
    logits = images[0].new_empty(_output_shape(plan), dtype=torch.float32)
    return logits, logits.new_empty(size)


def _gradients(gradient: Tensor, parameters: Sequence[Tensor], plan: Sequence[int], for_images: bool) -> list[Tensor]:
    gradients = [torch.empty_like(parameter) for parameter in parameters]
    if for_images:
        _, _, n, seeds, each, channels, height, width, *_ = plan
        shape = (seeds * each * n, channels, height, width)
        gradients.append(gradient.new_empty(shape).contiguous(memory_format=torch.channels_last))
    return gradients


@torch.library.register_fake("osakd::network", lib=_LIBRARY)
def _(images: Any, parameters: Any, scale: Any, shift: Any, plan: Any, keep: bool, threads: int) -> Any:  # noqa: ARG001
    return _outputs(images, plan, keep)


@torch.library.register_fake("osakd::network_backward", lib=_LIBRARY)
def _(gradient: Any, workspace: Any, parameters: Any, scale: Any, plan: Any, for_images: bool, threads: int) -> Any:  # noqa: ARG001
    return _gradients(gradient, parameters, plan, for_images)


_LIBRARY.impl("network", _forward, "CPU")
_LIBRARY.impl("network_backward", _backward, "CPU")
_LIBRARY.impl("network", _with_gradients, "Autograd")


def _output_shape(plan: Sequence[int]) -> tuple[int, int, int]:
    stages, linears, n, seeds, each, *rest = plan
    if linears:
        return seeds * each, n, rest[-1]
    filters, height, width = Stage(*rest[6 * (stages - 1) : 6 * stages]).pooled
    return seeds * each, n, filters * height * width


def _numbers(plan: Sequence[int]) -> Any:
    return (ctypes.c_int64 * len(plan))(*plan)


def _pointers(tensors: Sequence[Tensor]) -> Any:
    """The addresses of the tensors; null for an empty one."""
    return (_Pointer * len(tensors))(*[tensor.data_ptr() or None for tensor in tensors])
