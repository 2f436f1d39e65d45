"""The native kernel in place of a network's own forward pass: the network keeps its modules and parameters."""

from typing import Any

import torch
from torch import Tensor, nn

from osakd.engine.executors.base import UnsupportedError
from osakd.errors import one_line
from osakd.methods.base import Method
from osakd.native.executors.chain import Chain, find_chain
from osakd.native.kernels.build import NoKernelError
from osakd.native.kernels.checks import check
from osakd.native.kernels.operators import Plan, Stage, network

Shape = tuple[int, int, int]


class Scaling:
    """The factors and terms of an input scaling; they are computed anew only where its mean or deviation changed."""

    def __init__(self) -> None:
        self.versions: tuple[Any, ...] = ()
        self.values = (torch.empty(0), torch.empty(0))

    def of(self, layer: Any, seeds: int, channels: int, *, unit: float = 1.0) -> tuple[Tensor, Tensor]:
        """Factors and terms ``[seeds, channels]`` of a layer whose buffers hold those of every replica.

        Without a layer only the unit counts: what a value of 1 in the images stands for.
        """
        versions = (seeds,) if layer is None else (seeds, layer.mean._version, layer.std._version)
        if versions != self.versions:
            factors, terms = torch.ones(seeds, channels), torch.zeros(seeds, channels)
            if layer is not None:
                mean, std = (one.view(seeds, -1, channels)[:, 0] for one in (layer.mean, layer.std))
                factors, terms = 1 / std, -mean / std
            self.versions, self.values = versions, (factors * unit, terms)
        return self.values


class NativeForward:
    """Computes a chain with the kernel; what the kernel cannot take goes to the network's own forward pass.

    Args:
        module: the chain's module.
        chain: what it is.
    """

    def __init__(self, module: nn.Module, chain: Chain) -> None:
        self.module, self.chain, self.layers = module, chain, chain.layers(module)
        self.normalise = None if chain.normalise is None else module.get_submodule(chain.normalise)
        self.scaling = Scaling()
        self.plans: dict[Shape, tuple[tuple[Stage, ...], tuple[int, ...]] | None] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """The outputs for images ``[n, channels, h, w]``."""
        plan = self._plan(images)
        if plan is None:
            return type(self.module).forward(self.module, images)
        stages, widths = plan
        scale, shift = self.scaling.of(self.normalise, 1, images.shape[1])
        parameters = [one for layer in self.layers for one in weight_and_bias(layer)]
        outputs = network(
            [images], parameters, scale, shift, Plan(stages, widths, len(images)), torch.get_num_threads()
        )[0]
        return outputs if self.chain.flat else outputs.unflatten(1, stages[-1].pooled)

    def _plan(self, images: Tensor) -> tuple[tuple[Stage, ...], tuple[int, ...]] | None:
        """What the kernel computes for these images; None where it cannot."""
        tensors = (images, *(layer.weight for layer in self.layers))
        if images.ndim != 4 or not len(images) or any(one.dtype != torch.float32 or not one.is_cpu for one in tensors):
            return None
        shape: Any = tuple(images.shape[1:])
        if shape not in self.plans:
            try:
                self.plans[shape] = checked_stages(self.module, self.chain, shape)
            except UnsupportedError:
                self.plans[shape] = None
        return self.plans[shape]


def lower_method(method: Method, shape: Shape) -> None:
    """Lets the kernel compute every part of a method that is a chain: whole networks, and stages that share a trunk.

    Args:
        method: the method; its modules, parameters and state stay as they are.
        shape: channels, height and width of an image.

    Raises:
        UnsupportedError: none of its networks is a chain, or the kernel cannot be used.
    """
    reasons: list[str] = []
    chains: list[tuple[nn.Module, Chain]] = []
    for module in method.modules():
        if module is method or not any(isinstance(one, nn.Conv2d) for one in module.modules() if one is not module):
            continue
        try:
            chains.append((module, find_chain(module)))
        except Exception as error:  # a user's network may raise anything when it is traced
            reasons.append(one_line(error))
    if not chains:
        raise UnsupportedError(reasons[0] if reasons else "no convolutions")
    checked_stages(*chains[0], shape)
    for module, chain in chains:
        module.forward = NativeForward(module, chain)


def checked_stages(module: nn.Module, chain: Chain, shape: Shape) -> tuple[tuple[Stage, ...], tuple[int, ...]]:
    """What the kernel computes for images of a shape, after it was compared with PyTorch.

    Raises:
        UnsupportedError: the kernel cannot be used, or not for this network.
    """
    stages, widths = chain.stages(module, shape)
    try:
        check(stages, widths)
    except NoKernelError as error:
        raise UnsupportedError(str(error)) from error
    return stages, widths


def weight_and_bias(layer: Any) -> tuple[Tensor, Tensor]:
    """The tensors that the kernel takes of a layer; an empty one stands for no bias."""
    return layer.weight, layer.weight.new_empty(0) if layer.bias is None else layer.bias
