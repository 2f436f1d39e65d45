"""The serial executor with the native kernel: step after step, each network's passes as one call."""

import torch
from torch import Tensor

from osakd.engine.executors.base import Replicas, UnsupportedError
from osakd.engine.executors.serial import SerialExecutor
from osakd.native.executors.forward import lower_method
from osakd.native.executors.labels import check_labels
from osakd.native.kernels.labels import native_labels


class NativeSerialExecutor(SerialExecutor):
    """Runs the epochs of one method, whose networks and soft labels the kernel computes.

    Args:
        replicas: one replica.
        captured: as for ``SerialExecutor``.

    Raises:
        UnsupportedError: the kernel computes none of its networks.
    """

    def __init__(self, replicas: Replicas, *, captured: bool = False) -> None:
        check_kind(replicas)
        height, width, channels = replicas.splits[0]["train"].images.shape[1:]
        lower_method(replicas.methods[0], (channels, height, width))
        super().__init__(replicas, captured=captured)

    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images at these indices ``[1, n]``; the parts of the loss, ``[parts]``."""
        with native_labels():
            return super().step(index, step, progress)


def check_kind(replicas: Replicas) -> None:
    """Checks what the kernel is for.

    Raises:
        UnsupportedError: another device or another precision, or no kernel.
    """
    if replicas.device.type != "cpu":
        raise UnsupportedError("the native kernel is for a CPU")
    if replicas.config.precision != "float32" or torch.get_default_dtype() != torch.float32:
        raise UnsupportedError("the native kernel is for float32")
    check_labels()
