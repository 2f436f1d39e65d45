"""What was tried to make 15 fused LeNets faster on two CPU cores: it prints the milliseconds of each idea.

python -m benchmarks.tried > benchmarks/records/tried.md
"""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from benchmarks.contenders import COLUMN, fused
from osakd.engine.allocator import keep_freed_memory
from osakd.engine.timing import synthetic_images

SEEDS, METHODS, BATCH = 5, 3, 64
REPEATS, STEPS = 15, 40


def main() -> None:
    """Prints a table."""
    print("| idea | milliseconds |\n|---|---|")
    keep_freed_memory()
    for name, value in convolutions().items():
        print(f"| {name} | {value:.2f} |", flush=True)
    for name, value in programs().items():
        print(f"| {name} | {value:.2f} |", flush=True)


def convolutions() -> dict[str, float]:
    """Forward and backward of the two convolutions of a step, in several forms."""
    own = 6 * METHODS
    images, weight, gradient = _random(BATCH, 3, 32, 32), _random(own, 3, 5, 5), _random(BATCH, own, 28, 28)
    wide = [_joined(SEEDS, images, 1), _joined(SEEDS, weight, 0), _joined(SEEDS, gradient, 1)]
    maps, filters, back = _random(BATCH, 6, 14, 14), _random(16, 6, 5, 5), _random(BATCH, 16, 10, 10)
    replicas = SEEDS * METHODS
    grouped = [_joined(replicas, maps, 1), _joined(replicas, filters, 0), _joined(replicas, back, 1)]
    found = {
        "first convolution, one grouped by seed: forward": _forward(*wide[:2], SEEDS),
        "first convolution, one grouped by seed: weights' gradient": _backward(*wide, SEEDS, weights=True),
        "first convolution, one for each seed: forward": SEEDS * _forward(images, weight, 1),
        "first convolution, one for each seed: weights' gradient": SEEDS * _backward(images, weight, gradient, 1),
    }
    for channels in (16, 18, 32):
        one = _random(channels, 3, 5, 5)
        found[f"first convolution of one seed, {channels} channels: forward"] = _forward(images, one, 1)
    return found | {
        "second convolution, grouped by replica: forward": _forward(*grouped[:2], replicas),
        "second convolution, grouped by replica: weights' gradient": _backward(*grouped, replicas),
        "second convolution, grouped by replica: images' gradient": _backward(*grouped, replicas, weights=False),
        "second convolution, one for each replica: forward": replicas * _forward(maps, filters, 1),
        "second convolution, one for each replica: images' gradient": replicas
        * _backward(maps, filters, back, 1, weights=False),
        "second convolution, inputs padded to 8 channels: forward": _forward(
            _joined(replicas, _random(BATCH, 8, 14, 14), 1), _joined(replicas, _random(16, 8, 5, 5), 0), replicas
        ),
    }


def programs() -> dict[str, float]:
    """A step of 15 replicas: freed memory kept or not, and two programs of one thread at once."""
    return {
        "15 replicas, two threads, freed memory given back": _in_processes(1, 2, keep=False),
        "15 replicas, two threads, freed memory kept": _in_processes(1, 2, keep=True),
        "15 replicas, half of the time of two programs of one thread at once": _in_processes(2, 1, keep=True) / 2,
    }


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


def _joined(count: int, tensor: Tensor, dim: int) -> Tensor:
    return torch.cat([tensor] * count, dim).contiguous(memory_format=torch.channels_last)


def _forward(images: Tensor, weight: Tensor, groups: int) -> float:
    return _milliseconds(lambda: F.conv2d(images, weight, groups=groups))


def _backward(images: Tensor, weight: Tensor, gradient: Tensor, groups: int, *, weights: bool = True) -> float:
    wanted = [not weights, weights, weights]
    zeros, ones = [0, 0], [1, 1]
    return _milliseconds(
        lambda: torch.ops.aten.convolution_backward(
            gradient, images, weight, [len(weight)], ones, zeros, ones, False, zeros, groups, wanted
        )
    )


def _milliseconds(call: Callable[[], object]) -> float:
    call()
    found = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return 1000 * median(found)


def _in_processes(count: int, threads: int, *, keep: bool) -> float:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(count)]
    for _, theirs in pipes:
        context.Process(target=_serve, args=(theirs, threads, keep), daemon=True).start()
    found = []
    for _ in range(6):
        for ours, _ in pipes:
            ours.send(STEPS)
        found.append(max(ours.recv() for ours, _ in pipes) / STEPS)
    return 1000 * median(found[1:])


def _serve(pipe: Connection, threads: int, keep: bool) -> None:
    torch.set_num_threads(threads)
    if keep:
        keep_freed_memory()
    contender = fused(SEEDS, COLUMN, synthetic_images(torch.device("cpu")))
    for _ in range(6):
        pipe.send(contender(pipe.recv()))


if __name__ == "__main__":
    main()
