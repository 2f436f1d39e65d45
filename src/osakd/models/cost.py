"""What a network costs: its parameters, and the multiply-accumulates (MACs) of a forward pass.

Products alone are counted; what works element by element (biases, BatchNorm, ReLU, pooling) is not. One
multiply-accumulate is two floating-point operations (FLOPs). Only shapes decide: fake tensors and those on the device
``meta`` serve, and nothing is computed.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count


def count_parameters(module: nn.Module, *, trained: bool = False) -> int:
    """The number of parameters, or of trained parameters only."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad or not trained)


def count_macs(network: nn.Module, images: Float[Tensor, "n channels h w"]) -> int:
    r"""The multiply-accumulates for each image of one forward pass, in convolutions (Conv2d) and Linear layers.

    A convolution takes :math:`H W C_{out} \, k^2 C_{in} / groups`, with H and W of its output; a linear layer takes
    inputs times outputs, once for each vector. Products outside such layers (attention) are not among them.
    """
    macs: list[int] = []

    def count(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            macs.append(output.numel() * prod(layer.kernel_size) * layer.in_channels // layer.groups)
        elif isinstance(layer, nn.Linear):
            macs.append(output.numel() * layer.in_features)

    was_training = network.training
    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with torch.no_grad():
            network.eval()(images)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return sum(macs) // len(images)


def flop_counter() -> FlopCounterMode:
    """PyTorch's counter of FLOPs, forward and backward, right for grouped convolutions too."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward})


def _convolution_backward(
    grad_output: Sequence[int],
    images: Sequence[int],
    weight: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    output_mask: Sequence[bool],
    **_: Any,
) -> int:
    """As many as forward for each gradient asked for; PyTorch counts the weight's as often as there are groups."""
    forward = conv_flop_count(list(images), list(weight), list(grad_output), transposed)
    return forward * (output_mask[0] + output_mask[1])
