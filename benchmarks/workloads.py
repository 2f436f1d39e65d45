"""What is timed: each workload is built once; called with a number of steps, it returns the seconds that they took."""

import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from osakd.engine.allocator import keep_freed_memory
from osakd.engine.evaluate import DeviceSplit
from osakd.engine.executors.registry import EXECUTORS, REFERENCE
from osakd.engine.timing import CLASSES, seconds_of, synthetic_images, training_steps
from osakd.errors import RunError, UnsupportedError
from osakd.labels.posterior import Pool, count_votes
from osakd.labels.search import norms_of
from osakd.leaves import load
from osakd.losses.osakd import OSAKDLoss

Steps = Callable[[int], float]
"""A workload: runs a number of steps, and returns their seconds."""
BATCH, K = 64, 8
COLUMN = ("plain", "osakd", "osakd-16nn")
"""The methods of a column of the paper's Table I."""
MEMORY = {"name": "osakd", "pool": "memory"}
SCRIPT = Path(__file__).with_name("plain_script.py")


def single(
    method: Any,
    split: DeviceSplit,
    *,
    model: str = "lenet",
    batch: int = BATCH,
    cuda_graph: bool = False,
    kernels: str = "auto",
    threads: int | None = None,
    ema: float | None = None,
) -> Steps:
    """The steps of one run, with the native kernel where it fits, or with PyTorch's operators (``torch``)."""
    names = [REFERENCE] if kernels == "torch" else ["serial/native", REFERENCE]
    steps = _first_that_fits(names, [method], split, model=model, batch_size=batch, captured=cuda_graph, ema=ema)
    return _on_threads(threads, steps)


def fused(
    seeds: int, methods: Sequence[Any], split: DeviceSplit, *, cuda_graph: bool = False, kernels: str = "auto"
) -> Steps:
    """The steps of every seed and method, trained together; ``kernels`` as for ``single``."""
    names = ["fused/channels"] if kernels == "torch" else ["fused/native", "fused/channels"]
    return _first_that_fits(names, list(methods), split, batch_size=BATCH, seeds=seeds, captured=cuda_graph)


def search(rows: int, device: torch.device, *, ours: bool = True) -> Steps:
    """Searches of a batch among outputs like those of a trained network: ours, or a product and a top-k."""
    generator = torch.Generator().manual_seed(0)
    outputs = (2 * torch.randn(rows, CLASSES, generator=generator)).softmax(1).to(device)
    exclude = torch.randperm(rows, generator=generator)[:BATCH].to(device)
    queries, norms = outputs[exclude], norms_of(outputs)
    plain_norms = norms.to(outputs.dtype)
    target = torch.zeros(rows, dtype=torch.int64, device=device)
    pool = Pool(outputs, target, torch.ones_like(target, dtype=torch.bool), exclude, norms)

    def two_stage() -> object:
        with native_labels() if device.type == "cpu" else nullcontext():
            return count_votes(queries, pool, CLASSES, K, include_self=False)

    def product() -> object:
        distances = torch.addmm(plain_norms, queries, outputs.T, alpha=-2)
        distances[torch.arange(BATCH, device=device), exclude] = torch.inf
        return torch.topk(distances, K, largest=False)

    call = two_stage if ours else product
    return lambda steps: seconds_of(lambda: [call() for _ in range(steps)], device)


def loss(classes: int, device: torch.device, *, ours: bool = True) -> Steps:
    """The loss of a batch and its gradient, outside any network, as in a loop of one's own: ours, or cross-entropy."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(BATCH, classes, generator=generator).to(device).requires_grad_()
    target = torch.randint(classes, (BATCH,), generator=generator).to(device)
    criterion = (OSAKDLoss(classes, K) if ours else torch.nn.CrossEntropyLoss()).to(device)
    return lambda steps: seconds_of(lambda: [criterion(logits, target).backward() for _ in range(steps)], device)


def plain_script(*, workers: int, threads: int, device: str, model: str = "lenet") -> Steps:
    """The ordinary script, started anew; it does not count its own start."""

    def run(steps: int) -> float:
        options = {"--steps": steps, "--workers": workers, "--threads": threads, "--device": device}
        options |= {"--model": model}
        command = [sys.executable, str(SCRIPT), *(str(part) for pair in options.items() for part in pair)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our script
        if done.returncode:
            raise RunError(f"The plain script failed: {done.stderr.strip().splitlines()[-1]}")
        return float(done.stdout)

    return run


def processes(count: int, method: str) -> Steps:
    """Runs in several processes of one thread at once; the seconds of the slowest divided by their number."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(count)]
    for _, theirs in pipes:
        context.Process(target=_serve, args=(theirs, method), daemon=True).start()
        theirs.close()  # so that a process that dies is noticed

    def run(steps: int) -> float:
        for ours, _ in pipes:
            ours.send(steps)
        return max(ours.recv() for ours, _ in pipes) / count

    return run


def start(*arguments: str) -> Steps:
    """A Python command from its start to its end."""

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)  # noqa: S603 - our command
        return time.perf_counter() - begin

    return run


def demo() -> Steps:
    """What ``make demo`` does once everything is set up, each time in a new folder."""

    def run(steps: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return start("-m", "osakd", "compare", "--data", "digits", "--out", str(Path(folder) / "demo"))(steps)

    return run


def native_labels() -> AbstractContextManager[object]:
    """The native kernel computes soft labels, where it can be used."""
    if "serial/native" in EXECUTORS:
        with suppress(UnsupportedError):
            load("osakd.native.kernels.library:load")()
            return load("osakd.native.kernels.labels:native_labels")()
    return nullcontext()


def _first_that_fits(names: Sequence[str], *arguments: Any, **options: Any) -> Steps:
    """The steps with the first executor that can run them."""
    *preferred, last = [name for name in names if name in EXECUTORS]
    for name in preferred:
        with suppress(UnsupportedError):
            return training_steps(name, *arguments, **options)
    return training_steps(last, *arguments, **options)


def _on_threads(threads: int | None, workload: Steps) -> Steps:
    """The same on another number of threads."""

    def run(steps: int) -> float:
        before = torch.get_num_threads()
        torch.set_num_threads(before if threads is None else threads)
        try:
            return workload(steps)
        finally:
            torch.set_num_threads(before)

    return run


def _serve(pipe: Connection, method: str) -> None:
    """A process that runs a number of steps whenever it is asked to."""
    torch.set_num_threads(1)
    keep_freed_memory()
    workload = single(method, synthetic_images(torch.device("cpu")))
    while True:
        try:
            pipe.send(workload(pipe.recv()))
        except (EOFError, KeyboardInterrupt):
            return
