"""What is timed. Each contender is built once; called with a number of steps, it gives the seconds they took."""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from osakd.data.streams import permutation
from osakd.engine.allocator import keep_freed_memory
from osakd.engine.evaluate import DeviceSplit
from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.engine.executors.fused.folded import FoldedMethods
from osakd.engine.executors.serial import SerialExecutor
from osakd.engine.optim import Groups
from osakd.errors import RunError
from osakd.labels.neighbours import k_nearest
from osakd.labels.search import norms_of
from osakd.methods.base import BuildContext, Method
from osakd.methods.lookup import resolve_method
from osakd.methods.registry import build_method
from osakd.methods.settings.base import RunDefaults
from osakd.models.build import build_model

Contender = Callable[[int], float]
ROWS, SHAPE, CLASSES, BATCH, K = 50_000, (3, 32, 32), 10, 64, 8
COLUMN = ("plain", "osakd-8nn", "osakd-16nn")
"""The methods of a column of the paper's Table I."""
MEMORY = {"name": "osakd", "pool": "memory"}


def made_images(device: torch.device) -> DeviceSplit:
    """Images of CIFAR-10's shape and number: a weak pattern for each class under a strong one of each image's own."""
    generator = np.random.default_rng(0)
    target = generator.integers(0, CLASSES, ROWS)
    patterns = generator.normal(0, 12, (CLASSES, 8, 8, 3))[target] + generator.normal(0, 30, (ROWS, 8, 8, 3))
    images = np.clip(128 + patterns, 0, 255).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    return DeviceSplit(torch.from_numpy(images).to(device), torch.from_numpy(target).to(device))


def single(
    method: Any, split: DeviceSplit, *, model: str = "lenet", batch: int = BATCH, cuda_graph: bool = False
) -> Contender:
    """The steps of one run."""
    executor = SerialExecutor(
        _method(method, model, split, 0), {"train": split}, optimizer=_sgd, batch_size=batch, max_grad_norm=None,
        total_steps=10**6, cuda_graph=cuda_graph,
    )  # fmt: skip
    return _steps_of(executor, 1, split, batch)


def fused(seeds: int, methods: Sequence[Any], split: DeviceSplit, *, cuda_graph: bool = False) -> Contender:
    """The steps of every seed and method in one program."""
    built = [_method(method, "lenet", split, seed) for seed in range(seeds) for method in methods]
    executor = FusedExecutor(
        built, [str(method) for _ in range(seeds) for method in methods], [{"train": split}] * seeds,
        lowering=FoldedMethods, optimizer=_sgd, batch_size=BATCH, max_grad_norm=None, total_steps=10**6,
        cuda_graph=cuda_graph,
    )  # fmt: skip
    return _steps_of(executor, len(built), split, BATCH)


def search(rows: int, device: torch.device, *, ours: bool = True) -> Contender:
    """Searches of a batch among outputs as a trained network gives them, ours or a product and a top-k."""
    generator = torch.Generator().manual_seed(0)
    outputs = (2 * torch.randn(rows, CLASSES, generator=generator)).softmax(1).to(device)
    exclude = torch.randperm(rows, generator=generator)[:BATCH].to(device)
    queries, norms = outputs[exclude], norms_of(outputs)
    plain_norms = norms.to(outputs.dtype)

    def two_stage() -> object:
        return k_nearest(queries, outputs, K, exclude=exclude, norms=norms)

    def product() -> object:
        distances = torch.addmm(plain_norms, queries, outputs.T, alpha=-2)
        distances[torch.arange(BATCH, device=device), exclude] = torch.inf
        return torch.topk(distances, K, largest=False)

    return _repeated(two_stage if ours else product, device)


def plain_script(script: Path, *, workers: int, threads: int, device: str) -> Contender:
    """The ordinary script, started anew; it leaves its own start out of its seconds."""

    def run(steps: int) -> float:
        options = {"--steps": steps, "--workers": workers, "--threads": threads, "--device": device}
        command = [sys.executable, str(script), *(str(part) for pair in options.items() for part in pair)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            raise RunError(f"The plain script failed: {done.stderr.strip().splitlines()[-1]}")
        return float(done.stdout)

    return run


def processes(count: int, method: str) -> Contender:
    """So many runs at once, each in a process of one thread; the seconds of the slowest over their number."""
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


def start(*arguments: str) -> Contender:
    """A command, from its start to its end."""

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)  # noqa: S603 - ours
        return time.perf_counter() - begin

    return run


def _serve(pipe: Connection, method: str) -> None:
    """A process of its own: it runs so many steps whenever it is told to."""
    torch.set_num_threads(1)
    keep_freed_memory()
    contender = single(method, made_images(torch.device("cpu")))
    while True:
        try:
            pipe.send(contender(pipe.recv()))
        except (EOFError, KeyboardInterrupt):
            return


def _sgd(groups: Groups) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, 0.001, momentum=0.9, fused=True)


def _method(method: Any, model: str, split: DeviceSplit, seed: int) -> Method:
    torch.manual_seed(seed)

    def build_network(other: str | None) -> nn.Module:
        return build_model(other or model, num_classes=CLASSES, input_shape=SHAPE)

    name, settings = resolve_method(method, RunDefaults(model=model))
    stage = settings.previous_stage()
    context = BuildContext(
        network=build_network(None), num_classes=CLASSES, num_samples=len(split.target), input_shape=SHAPE,
        build_network=build_network, teachers=[build_network(stage.model)] if stage else [],
    )  # fmt: skip
    built = build_method(name, settings, context)
    return built.to(split.target.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload] - missing in the stubs


def _steps_of(executor: SerialExecutor | FusedExecutor, replicas: int, split: DeviceSplit, batch: int) -> Contender:
    orders = [permutation(len(split.target), seed=seed, stage=0, stream="order", epoch=1) for seed in range(replicas)]
    device = split.target.device

    def run(steps: int) -> float:
        given = [np.resize(order, steps * batch) for order in orders]
        return _seconds(partial(executor.run_epoch, given, rate=0.001, first_step=0, on_step=lambda _: None), device)

    return run


def _repeated(call: Callable[[], object], device: torch.device) -> Contender:
    def run(steps: int) -> float:
        return _seconds(lambda: [call() for _ in range(steps)], device)

    return run


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin
