"""What a step cannot do without: its operations at the machine's peak rate, its bytes at the machine's bandwidth.

Both rates are measured here, in the same run: the best of a large matrix product and of a large copy.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from osakd.benchmark.contenders import BATCH, CLASSES, ROWS, SHAPE
from osakd.models.build import build_model

REPEATS = 15


class Rates(NamedTuple):
    """Peak rates: float32 operations and bytes, per second."""

    operations: float
    bytes: float


class Work(NamedTuple):
    """What must at least be done: operations, and bytes to and from memory."""

    operations: float
    bytes: float

    def floor(self, rates: Rates) -> float:
        """Seconds, whichever of the two takes longer."""
        return max(self.operations / rates.operations, self.bytes / rates.bytes)


def measure_rates(device: torch.device) -> Rates:
    """The machine's rates with the threads that are set."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device) for _ in range(2))
    source = torch.randn(2**26, device=device)
    target = torch.empty_like(source)
    product, copy = _best(lambda: left @ right, device), _best(lambda: target.copy_(source), device)
    return Rates(operations=2 * size**3 / product, bytes=2 * source.nbytes / copy)


def best_of(one: Rates, other: Rates) -> Rates:
    """The higher of two measurements, rate by rate."""
    return Rates(max(one.operations, other.operations), max(one.bytes, other.bytes))


def training_step(model: str, *, batch: int = BATCH) -> Work:
    """Forward, backward and update of one network: the images once, weights, gradients and momenta five times."""
    network = build_model(model, num_classes=CLASSES, input_shape=SHAPE)
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(batch, *SHAPE)).sum().backward()
    images = batch * SHAPE[0] * SHAPE[1] * SHAPE[2]
    parameters = sum(p.nbytes for p in network.parameters())
    return Work(counter.get_total_flops(), images + 5 * parameters)


def search_step(rows: int = ROWS, *, batch: int = BATCH) -> Work:
    """One product of a batch with all rows, which are read once."""
    return Work(2 * batch * rows * CLASSES, rows * CLASSES * 4)


def _best(call: Callable[[], object], device: torch.device) -> float:
    found = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - begin)
    return min(found)
