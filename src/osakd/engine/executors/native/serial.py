"""The serial executor with the native kernel: step after step, each network's passes as one call."""

import torch

from osakd.engine.executors.base import Replicas, TrainingSpec
from osakd.engine.executors.fused.replicas import NotLowerableError
from osakd.engine.executors.native.forward import lower_method
from osakd.engine.executors.serial import SerialExecutor


def build(replicas: Replicas, spec: TrainingSpec) -> SerialExecutor:
    """Builds the executor of one replica, whose networks the kernel computes.

    Raises:
        NotLowerableError: the kernel computes none of them.
    """
    check_kind(replicas, spec)
    height, width, channels = replicas.splits[0]["train"].images.shape[1:]
    lower_method(replicas.methods[0], (channels, height, width))
    return SerialExecutor(replicas, spec)


def check_kind(replicas: Replicas, spec: TrainingSpec) -> None:
    """Checks what the kernel is for.

    Raises:
        NotLowerableError: another device or another precision.
    """
    if replicas.device.type != "cpu":
        raise NotLowerableError("the native kernel is for a CPU")
    if spec.precision != "float32" or torch.get_default_dtype() != torch.float32:
        raise NotLowerableError("the native kernel is for float32")
