"""Several processes that train one run together: they are joined, agree, and the first one writes the files.

Every process computes the same from the same configuration and the same folder, so they need to exchange little: what
the first one finds in the folder, and the outputs and gradients of each step (``engine.executors.ranks``).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from osakd.engine.environment import pick_device
from osakd.engine.launch import number_on_machine, process_count
from osakd.errors import InputError, RunError
from osakd.labels.ranks import are_several
from osakd.records import RunConfig

Value = TypeVar("Value")


def joined_processes() -> int:
    """Number of processes that ``torch.distributed`` has joined; 1 where it does not run."""
    return dist.get_world_size() if are_several(None) else 1


def is_first() -> bool:
    """Whether this process writes the files of a run: the only one, or rank 0."""
    return not are_several(None) or dist.get_rank() == 0


@contextmanager
def joined(device: str | None) -> Iterator[torch.device]:
    """Joins the processes that torchrun started, unless the caller has joined them, and gives this one's device.

    They talk through NCCL on GPUs, through gloo on CPUs.

    Args:
        device: the value of ``--device``; on GPUs every process takes one of its own.

    Raises:
        InputError: there is no such device, or there are fewer GPUs than processes on this machine.
    """
    if process_count() == 1 or dist.is_initialized():
        yield _own_device(device)
        return
    own = _own_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo")
    yield own
    # Not after an error: the others may be gone.
    dist.destroy_process_group()


@contextmanager
def answered() -> Iterator[None]:
    """Says in one sentence that another process does not take part in what all must do."""
    try:
        yield
    except RuntimeError as error:  # no finer one is raised for a lost connection
        raise RunError(
            "Another process of this run has ended or does not answer: see what it said, then give the same command "
            "with --resume."
        ) from error


def of_all(value: Value) -> list[Value]:
    """The value that each process gives, in rank order; every process must call it."""
    if not are_several(None):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    with answered():
        dist.all_gather_object(values, value)
    return values


def as_first(function: Callable[[], Value]) -> Value:
    """What a function returns in the first process, where alone it is called.

    Raises:
        InputError, RunError: it raised one there; it is raised in every process.
    """
    if not are_several(None):
        return function()
    outcome: list[Any] = [None]
    if is_first():
        try:
            outcome = [function()]
        except (InputError, RunError) as error:
            outcome = [error]
    with answered():
        dist.broadcast_object_list(outcome)
    if isinstance(outcome[0], InputError | RunError):
        raise outcome[0]
    return outcome[0]


def after_first(function: Callable[[], Value]) -> Value:
    """Calls a function in the first process, then in the others, which find what it left in a cache."""
    found: list[Value] = []
    as_first(lambda: found.append(function()))
    return found[0] if found else function()


def check_same_run(config: RunConfig) -> None:
    """Checks that every process was given the same run.

    Raises:
        InputError: they were not, or their batches have fewer samples than there are processes.
    """
    first, *others = of_all(config)
    differing = next((other for other in others if other != first), None)
    if differing is not None:
        raise InputError(
            f"The processes were given different runs ({'; '.join(first.differences(differing))}): torch.distributed "
            "joins them for one run, so give each the same."
        )
    if config.batch_size <= len(others):
        raise InputError(
            f"`batch_size` is that of all processes together, and must be at least their number, {1 + len(others)}, "
            f"got {config.batch_size}."
        )


def check_same_epoch(done: int) -> None:
    """Checks that every process continues after the same epoch.

    Raises:
        RunError: they see different checkpoints.
    """
    epochs = of_all(done)
    if len(set(epochs)) > 1:
        raise RunError(
            f"The processes see different checkpoints (of epochs {', '.join(map(str, epochs))}): put the run into a "
            "folder that all of them share, with --out."
        )


def _own_device(name: str | None) -> torch.device:
    processes = joined_processes() if are_several(None) else process_count()
    if processes == 1 or not (torch.cuda.is_available() and name in (None, "cuda")):
        device = pick_device(name)
        if processes > 1 and device.type == "cuda":
            raise InputError(
                f"The device {name!r} is one GPU, but there are {processes} processes: leave --device out, and each "
                "takes one of its own."
            )
        return device
    gpus = torch.cuda.device_count()
    number = number_on_machine() if process_count() > 1 else dist.get_rank() % gpus
    if number >= gpus:
        raise InputError(
            f"There are more processes on this machine than GPUs ({gpus}): start one process for each GPU, or take "
            "--device cpu."
        )
    return pick_device(f"cuda:{number}")
