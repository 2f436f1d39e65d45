"""Short measurements before a run: the time of a step, the share of a search over a memory, bytes of a replica."""

import copy
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch import Tensor

from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.engine.executors.serial import SerialExecutor
from osakd.losses.osakd import OSAKDLoss
from osakd.methods.base import Method

TIMED_STEPS = 3


def step_seconds(executor: SerialExecutor | FusedExecutor, batch_size: int) -> float:
    """Median seconds of a training step; the executor's state changes: give a copy."""
    return _median_seconds(lambda: _one_step(executor, batch_size))


def search_notes(methods: Sequence[Method], batch_size: int, seconds_per_step: Callable[[], float]) -> list[str]:
    """A sentence on the share of a step that the search over a memory is predicted to take; none without a memory.

    Args:
        methods: of the replicas that a step trains.
        batch_size: images per step.
        seconds_per_step: measures a step, the search included; called where there is a memory.
    """
    parts = [part for method in methods for part in method.modules()]
    losses = [part for part in parts if isinstance(part, OSAKDLoss) and part.memory is not None]
    if not losses:
        return []
    loss = copy.deepcopy(losses[0])
    assert loss.memory is not None  # noqa: S101 - for the type checker
    outputs: Tensor = loss.memory.outputs
    generator = torch.Generator(outputs.device).manual_seed(0)
    outputs.normal_(generator=generator).copy_(outputs.softmax(1))
    index = torch.arange(len(outputs), device=outputs.device)
    loss.memory.train().write(index, outputs.clone(), loss.memory.target.clone())
    index = index[:batch_size]
    logits, target = outputs[index].log(), loss.memory.target[index]
    seconds = len(losses) * _median_seconds(lambda: loss.soft_labels(logits, target, index).sum().item())
    whole = max(seconds, seconds_per_step())
    return [
        f"Looking for neighbours among {len(outputs):,} outputs is predicted to take {100 * seconds / whole:.0f} % of "
        f"a step ({1000 * seconds:.1f} of {1000 * whole:.1f} ms)."
    ]


def replica_bytes(executor: SerialExecutor, batch_size: int) -> int:
    """Peak bytes of one replica, measured on one of its steps; the executor's state changes: give a copy.

    On CUDA the allocator counts; elsewhere what the step saves for its gradients is counted, twice for the gradients
    themselves, with weights, gradients, momenta and buffers.
    """
    state = sum(t.nbytes for t in executor.method.buffers()) + 4 * sum(p.nbytes for p in executor.method.parameters())
    device = executor.parameters[0].device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        _one_step(executor, batch_size)
        return torch.cuda.max_memory_allocated(device) - before + state
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _one_step(executor, batch_size)
    return 2 * sum(saved.values()) + state


def _one_step(executor: SerialExecutor | FusedExecutor, batch_size: int) -> None:
    splits = executor.splits if isinstance(executor, FusedExecutor) else [executor.splits]
    rows = torch.arange(min(batch_size, len(splits[0]["train"].target))).numpy()
    orders = [rows] * (executor.layout.replicas if isinstance(executor, FusedExecutor) else 1)
    executor.run_epoch(orders, rate=0.0, first_step=0, on_step=lambda _: None)


def _median_seconds(run: Callable[[], object]) -> float:
    found = []
    for _ in range(TIMED_STEPS + 1):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return median(found[1:])
