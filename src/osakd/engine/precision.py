"""The precision of training: IEEE float32 by default; TF32, or bfloat16 in the forward pass, on request.

Soft labels are computed in float32 or better with every precision, and weights and optimizer state stay float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from osakd.engine.executors.registry import AUTO, check_device


@contextmanager
def matmul_precision(precision: str, device: torch.device) -> Iterator[None]:
    """Sets how CUDA multiplies float32 matrices (cuDNN's default: TF32) and restores it; an InputError without TF32."""
    check_device(AUTO, precision, device.type)
    kinds: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn]  # type: ignore[attr-defined] - made at run time
    before = [kind.fp32_precision for kind in kinds]
    for kind in kinds:
        kind.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for kind, value in zip(kinds, before, strict=True):
            kind.fp32_precision = value


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context of a forward pass. Weights cast to bfloat16 are not cached, so that a step can be captured."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)
