"""The least time of a step: its operations at the machine's peak rate, or its bytes at the machine's bandwidth.

Both rates are measured in the same run: the best of a large matrix product and of a large copy.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contenders import BATCH
from osakd.engine.timing import CLASSES, IMAGES, SHAPE
from osakd.models.build import build_model

REPEATS = 15


class Rates(NamedTuple):
    """Peak rates: float32 operations and bytes, per second."""

    operations: float
    bytes: float


class Work(NamedTuple):
    """The least work: operations, and bytes to and from memory."""

    operations: float
    bytes: float

    def floor(self, rates: Rates) -> float:
        """The least seconds, of the one that takes longer."""
        return max(self.operations / rates.operations, self.bytes / rates.bytes)


def measure_rates(device: torch.device) -> Rates:
    """Measures the machine's rates with the current number of threads."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device) for _ in range(2))
    source = torch.randn(2**26, device=device)
    target = torch.empty_like(source)
    product, copy = _best(lambda: left @ right, device), _best(lambda: target.copy_(source), device)
    return Rates(operations=2 * size**3 / product, bytes=2 * source.nbytes / copy)


def best_of(one: Rates, other: Rates) -> Rates:
    """The higher of two measurements, rate by rate."""
    return Rates(max(one.operations, other.operations), max(one.bytes, other.bytes))


def training_step(model: str, *, batch: int = BATCH, shape: tuple[int, int, int] = SHAPE) -> Work:
    """Forward, backward and update of one network: the images once, weights, gradients and momenta five times."""
    network = build_model(model, num_classes=CLASSES, input_shape=shape)
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(batch, *shape)).sum().backward()
    images = batch * shape[0] * shape[1] * shape[2]
    parameters = sum(p.nbytes for p in network.parameters())
    return Work(counter.get_total_flops(), images + 5 * parameters)


def search_step(rows: int = IMAGES, *, batch: int = BATCH) -> Work:
    """One product of a batch with all rows of a memory, which are read once."""
    return Work(2 * batch * rows * CLASSES, rows * CLASSES * 4)


def _best(call: Callable[[], object], device: torch.device) -> float:
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)
