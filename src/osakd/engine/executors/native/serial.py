"""The serial executor with the native kernel: step after step, each network's passes as one call."""

import torch
from torch import Tensor

from osakd.engine.executors.base import Replicas, TrainingSpec, UnsupportedError
from osakd.engine.executors.native.forward import lower_method
from osakd.engine.executors.native.labels import check_labels
from osakd.engine.executors.serial import SerialExecutor
from osakd.kernels.labels import native_labels


class NativeSerialExecutor(SerialExecutor):
    """Runs the epochs of one method, whose networks and soft labels the kernel computes."""

    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images at these indices ``[1, n]``; the parts of the loss, ``[parts]``."""
        with native_labels():
            return super().step(index, step, progress)


def build(replicas: Replicas, spec: TrainingSpec) -> NativeSerialExecutor:
    """Builds the executor of one replica, whose networks the kernel computes.

    Raises:
        UnsupportedError: the kernel computes none of them.
    """
    check_kind(replicas, spec)
    height, width, channels = replicas.splits[0]["train"].images.shape[1:]
    lower_method(replicas.methods[0], (channels, height, width))
    return NativeSerialExecutor(replicas, spec)


def check_kind(replicas: Replicas, spec: TrainingSpec) -> None:
    """Checks what the kernel is for.

    Raises:
        UnsupportedError: another device or another precision, or no kernel.
    """
    if replicas.device.type != "cpu":
        raise UnsupportedError("the native kernel is for a CPU")
    if spec.precision != "float32" or torch.get_default_dtype() != torch.float32:
        raise UnsupportedError("the native kernel is for float32")
    check_labels()
