"""Short measurements before a run: the time of a step, the share of a search over a memory, the memory of a replica."""

import copy
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from osakd.engine.executors.base import Executor, Replicas
from osakd.engine.executors.registry import REFERENCE, build_executor
from osakd.losses.osakd import OSAKDLoss

FEWEST, MOST, SECONDS = 3, 30, 0.2
"""Steps that are timed: as many as fit into so many seconds, within these bounds."""


def step_seconds(executor: Executor) -> float:
    """Median seconds of a training step. It changes the executor's state: pass a trial."""
    return _median_seconds(lambda: _one_step(executor))


def search_notes(replicas: Replicas, seconds_per_step: Callable[[], float]) -> list[str]:
    """The share of a step that the search over a memory takes, as a sentence; none, unmeasured, without a memory."""
    modules = [module for method in replicas.methods for module in method.modules()]
    losses = [module for module in modules if isinstance(module, OSAKDLoss) and module.memory is not None]
    if not losses:
        return []
    loss = copy.deepcopy(losses[0])
    assert loss.memory is not None  # noqa: S101 - for the type checker
    outputs: Tensor = loss.memory.outputs
    generator = torch.Generator(outputs.device).manual_seed(0)
    outputs.normal_(generator=generator).copy_(outputs.softmax(1))
    index = torch.arange(len(outputs), device=outputs.device)
    loss.memory.train().write(index, outputs.clone(), loss.memory.target.clone())
    index = index[: replicas.config.batch_size]
    logits, target = outputs[index].log(), loss.memory.target[index]
    seconds = len(losses) * _median_seconds(lambda: loss.posterior(logits, target, index).soft_labels.sum().item())
    whole = max(seconds, seconds_per_step())
    return [
        f"The neighbour search among {len(outputs):,} outputs is predicted to take {100 * seconds / whole:.0f} % of a "
        f"step ({1000 * seconds:.1f} of {1000 * whole:.1f} ms)."
    ]


def memory_mib(replicas: Replicas) -> float:
    """Peak memory in MiB of the first replica, measured on one training step of a copy.

    On CUDA the allocator counts. Elsewhere the tensors that the step saves for its gradients are counted, twice to
    include the gradients themselves, and weights, gradients, momenta and buffers.
    """
    trial = replicas.part([0]).copied()
    executor = build_executor(REFERENCE, trial)
    (method,), device = trial.methods, trial.device
    state = sum(t.nbytes for t in method.buffers()) + 4 * sum(p.nbytes for p in method.parameters())
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        _one_step(executor)
        return _mib(torch.cuda.max_memory_allocated(device) - before + state)
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _one_step(executor)
    return _mib(2 * sum(saved.values()) + state)


def _mib(count: int) -> float:
    return round(count / 2**20, 3)


def _one_step(executor: Executor) -> None:
    index = torch.arange(min(executor.config.batch_size, len(executor.splits[0]["train"].target))).numpy()
    executor.run_epoch([index] * executor.replicas, rate=0.0, first_step=0, on_step=lambda _: None)


def _median_seconds(run: Callable[[], object]) -> float:
    run()
    seconds: list[float] = []
    while len(seconds) < FEWEST or (len(seconds) < MOST and sum(seconds) < SECONDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return median(seconds)
