"""The native lowering of methods that train one network: the kernel computes all replicas in one call."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from osakd.engine.executors.base import Replicas, UnsupportedError
from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.engine.executors.fused.layout import Layout, Parts
from osakd.native.executors.chain import find_chain
from osakd.native.executors.forward import Scaling, checked_stages, weight_and_bias
from osakd.native.executors.serial import check_kind
from osakd.native.kernels.labels import native_labels
from osakd.native.kernels.operators import Plan, network


class NativeFusedExecutor(FusedExecutor):
    """Runs the epochs of many replicas at once, whose networks and soft labels the kernel computes.

    Args:
        replicas: the methods to train and their data.
        captured: as for ``FusedExecutor``.

    Raises:
        UnsupportedError: the kernel cannot compute their networks.
    """

    def __init__(self, replicas: Replicas, *, captured: bool = False) -> None:
        check_kind(replicas)
        super().__init__(replicas, captured=captured, fold=NativeReplicas)

    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images at these indices ``[groups, n]``; the parts of every loss, flat."""
        with native_labels():
            return super().step(index, step, progress)


class NativeReplicas(nn.Module):
    """Replicas of a network, stacked along the first axis of each parameter.

    Args:
        networks: the replicas, those of a group side by side.
        layout: number of replicas and groups.
        input_shape: channels, height and width of an image.

    Raises:
        UnsupportedError: the network is no chain, or the kernel cannot be used.
    """

    takes_bytes = True

    def __init__(self, networks: Sequence[nn.Module], layout: Layout, input_shape: tuple[int, int, int]) -> None:
        super().__init__()
        first = networks[0]
        self.layout, self.chain = layout, find_chain(first)
        self.stages, self.widths = checked_stages(first, self.chain, input_shape)
        names = [*self.chain.convolutions, *self.chain.linears]
        names += [] if self.chain.normalise is None else [self.chain.normalise]
        self.stacked_names = {name: name.replace(".", "_") for name in names}
        for name in names:
            self.add_module(self.stacked_names[name], _stacked([one.get_submodule(name) for one in networks]))
        own = {f"{name}.{leaf}" for name in names for leaf, _ in first.get_submodule(name).named_parameters()}
        if own != {name for name, _ in first.named_parameters()}:
            raise UnsupportedError("tied weights, or parameters outside of its layers")
        self.scaling = Scaling()

    def forward(self, images: Parts) -> Tensor:
        """Logits ``[replicas, n, c]`` of the images of each group, or of all, ``[n, channels, h, w]`` of 0 to 255."""
        seeds = self.layout.groups
        images = images * seeds if len(images) < seeds else images
        normalise = None if self.chain.normalise is None else self._layer(self.chain.normalise)
        scale, shift = self.scaling.of(normalise, seeds, images[0].shape[1], unit=1 / 255)
        layers = [self._layer(name) for name in (*self.chain.convolutions, *self.chain.linears)]
        parameters = [one for layer in layers for one in weight_and_bias(layer)]
        plan = Plan(self.stages, self.widths, len(images[0]), seeds, self.layout.per_group)
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
    found = nn.Module()
    found.register_parameter("bias", None)
    for name, parameter in layers[0].named_parameters():
        joined = torch.cat([layer.get_parameter(name).detach() for layer in layers])
        if joined.ndim == 4:
            joined = joined.contiguous(memory_format=torch.channels_last)
        found.register_parameter(name, nn.Parameter(joined, requires_grad=parameter.requires_grad))
    for name, _ in layers[0].named_buffers():
        found.register_buffer(name, torch.cat([layer.get_buffer(name) for layer in layers]))
    return found
