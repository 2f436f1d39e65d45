"""A trial step, and the memory that it takes."""

import torch
from torch import Tensor

from osakd.engine.executors.base import Executor, Replicas
from osakd.engine.executors.registry import REFERENCE, build_executor


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
        one_step(executor)
        return _mib(torch.cuda.max_memory_allocated(device) - before + state)
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        one_step(executor)
    return _mib(2 * sum(saved.values()) + state)


def _mib(count: int) -> float:
    return round(count / 2**20, 3)


def one_step(executor: Executor) -> None:
    """A training step that changes no weights by its rate of 0, but state: pass a trial."""
    index = torch.arange(min(executor.config.batch_size, len(executor.splits[0]["train"].target))).numpy()
    executor.run_epoch([index] * executor.replicas, rate=0.0, first_step=0, on_step=lambda _: None)
