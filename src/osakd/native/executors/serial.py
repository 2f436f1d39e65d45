"""The serial executor with the native kernel: step after step, each network's passes as one call."""

from typing import Any

import torch
from torch import Tensor, nn

from osakd.engine.executors.base import Replicas
from osakd.engine.executors.serial import SerialExecutor
from osakd.errors import UnsupportedError, one_line
from osakd.methods.base import Method
from osakd.native.executors.layers import Layers, Scaling, Shape, find_layers, weights_and_biases
from osakd.native.kernels.checks import check_labels
from osakd.native.kernels.labels import native_labels
from osakd.native.kernels.operators import Plan, network


class NativeSerialExecutor(SerialExecutor):
    """Runs the epochs of one replica with the kernel; an UnsupportedError if it computes none of its networks."""

    def __init__(self, replicas: Replicas, *, captured: bool = False) -> None:
        check_kind(replicas)
        height, width, channels = replicas.splits[0]["train"].images.shape[1:]
        use_kernel(replicas.methods[0], (channels, height, width))
        super().__init__(replicas, captured=captured)

    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images at these indices ``[1, n]``; the parts of the loss, ``[parts]``."""
        with native_labels():
            return super().step(index, step, progress)


def check_kind(replicas: Replicas) -> None:
    """Checks that there is a kernel for the device and the precision; else an UnsupportedError."""
    if replicas.device.type != "cpu":
        raise UnsupportedError("the native kernel is for a CPU")
    if replicas.config.precision != "float32" or torch.get_default_dtype() != torch.float32:
        raise UnsupportedError("the native kernel is for float32")
    check_labels()


def use_kernel(method: Method, shape: Shape) -> None:
    """Lets the kernel compute every part of a method that it can: whole networks, and stages that share a trunk.

    The method's modules, parameters and state stay as they are.

    Raises:
        UnsupportedError: the kernel computes none of its networks, or cannot be used.
    """
    reasons: list[str] = []
    forwards: list[NativeForward] = []
    for module in method.modules():
        inside = (layer for layer in module.modules() if layer is not module)
        if module is method or not any(isinstance(layer, nn.Conv2d) for layer in inside):
            continue
        try:
            forwards.append(NativeForward(module, find_layers(module)))
        except Exception as error:  # a user's network may raise anything when it is traced
            reasons.append(one_line(error))
    if not forwards:
        raise UnsupportedError(reasons[0] if reasons else "no convolutions")
    forwards[0].layers.plan(forwards[0].module, shape)
    for forward in forwards:
        forward.module.forward = forward


class NativeForward:
    """Computes a network with the kernel; what the kernel cannot take goes to the network's own forward pass."""

    def __init__(self, module: nn.Module, layers: Layers) -> None:
        self.module, self.layers = module, layers
        self.weighted: list[Any] = [module.get_submodule(name) for name in layers.weighted]
        self.normalise = None if layers.normalise is None else module.get_submodule(layers.normalise)
        self.scaling = Scaling()
        self.plans: dict[Shape, Plan | None] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """The outputs for images ``[n, channels, h, w]``."""
        plan = self._plan(images)
        if plan is None:
            return type(self.module).forward(self.module, images)
        scale, shift = self.scaling.of(self.normalise, 1, images.shape[1])
        parameters = weights_and_biases(self.weighted)
        plan = plan._replace(images=len(images))
        outputs = network([images], parameters, scale, shift, plan, torch.get_num_threads())[0]
        return outputs if self.layers.flat else outputs.unflatten(1, plan.stages[-1].pooled)

    def _plan(self, images: Tensor) -> Plan | None:
        """What the kernel computes for an image; None where it cannot."""
        tensors = (images, *(layer.weight for layer in self.weighted))
        plain = all(tensor.dtype == torch.float32 and tensor.is_cpu for tensor in tensors)
        if images.ndim != 4 or not len(images) or not plain:
            return None
        shape: Any = tuple(images.shape[1:])
        if shape not in self.plans:
            try:
                self.plans[shape] = self.layers.plan(self.module, shape)
            except UnsupportedError:
                self.plans[shape] = None
        return self.plans[shape]
