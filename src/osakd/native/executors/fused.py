"""The fused executor with the native kernel, which computes all replicas in one call."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from osakd.engine.executors.base import Replicas
from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.engine.executors.fused.layers import Layout, Parts
from osakd.errors import UnsupportedError
from osakd.native.executors.layers import Scaling, Shape, find_layers, weights_and_biases
from osakd.native.executors.serial import check_kind
from osakd.native.kernels.labels import native_labels
from osakd.native.kernels.operators import network


class NativeFusedExecutor(FusedExecutor):
    """Runs the epochs of many replicas at once with the kernel; an UnsupportedError for networks it cannot compute."""

    def __init__(self, replicas: Replicas, *, captured: bool = False) -> None:
        check_kind(replicas)
        super().__init__(replicas, captured=captured, fold=NativeReplicas)

    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images at these indices ``[groups, n]``; the parts of every loss, flat."""
        with native_labels():
            return super().step(index, step, progress)


class NativeReplicas(nn.Module):
    """Replicas of a network, stacked along the first axis of each parameter, as ``FoldedNetwork`` with its error."""

    takes_bytes = True

    def __init__(self, networks: Sequence[nn.Module], layout: Layout, input_shape: Shape) -> None:
        super().__init__()
        first = networks[0]
        self.layout, self.layers = layout, find_layers(first)
        self.plan = self.layers.plan(first, input_shape)._replace(seeds=layout.groups, each=layout.per_group)
        names = [*self.layers.weighted, *([] if self.layers.normalise is None else [self.layers.normalise])]
        self.stacked_names = {name: name.replace(".", "_") for name in names}
        for name in names:
            self.add_module(self.stacked_names[name], _stacked([network.get_submodule(name) for network in networks]))
        in_layers = {f"{name}.{leaf}" for name in names for leaf, _ in first.get_submodule(name).named_parameters()}
        if in_layers != {name for name, _ in first.named_parameters()}:
            raise UnsupportedError("tied weights, or parameters outside of its layers")
        self.scaling = Scaling()

    def forward(self, images: Parts) -> Tensor:
        """Logits ``[replicas, n, c]`` of the images of each group, or of all, ``[n, channels, h, w]`` of 0 to 255."""
        seeds = self.layout.groups
        images = images * seeds if len(images) < seeds else images
        normalise = None if self.layers.normalise is None else self._layer(self.layers.normalise)
        scale, shift = self.scaling.of(normalise, seeds, images[0].shape[1], unit=1 / 255)
        parameters = weights_and_biases([self._layer(name) for name in self.layers.weighted])
        plan = self.plan._replace(images=len(images[0]))
        return network(images, parameters, scale, shift, plan, torch.get_num_threads())

    def find(self, name: str) -> Any:
        """The stacked parameter or buffer that includes the one called ``name`` in each replica."""
        module, _, leaf = name.rpartition(".")
        return getattr(self._layer(module), leaf)

    def stacked(self, name: str, shape: torch.Size) -> Tensor:
        """The parameter or buffer called ``name`` in each replica, as a view ``[replicas, *shape]``."""
        return self.find(name).view(-1, *shape)

    def _layer(self, name: str) -> Any:
        return getattr(self, self.stacked_names[name])


def _stacked(layers: Sequence[nn.Module]) -> nn.Module:
    """The parameters and buffers of a layer of every replica."""
    stacked = nn.Module()
    stacked.register_parameter("bias", None)
    for name, parameter in layers[0].named_parameters():
        joined = torch.cat([layer.get_parameter(name).detach() for layer in layers])
        if joined.ndim == 4:
            joined = joined.contiguous(memory_format=torch.channels_last)
        stacked.register_parameter(name, nn.Parameter(joined, requires_grad=parameter.requires_grad))
    for name, _ in layers[0].named_buffers():
        stacked.register_buffer(name, torch.cat([layer.get_buffer(name) for layer in layers]))
    return stacked
