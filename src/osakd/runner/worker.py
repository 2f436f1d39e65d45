"""What a worker does, a process here or on a cluster: it runs programs, and stops when it is told to."""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from osakd.records import RunConfig
from osakd.runner.jobs import Errors, Job, Program

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays
    from osakd.data.reading import Reading
    from osakd.engine.loop import Planned

Notes = SimpleQueue[tuple[str, list[str]]]
"""The folder of a program's first job, and what its program says when it starts; a new process says nothing of none."""


class Flag(Protocol):
    """A number in memory that processes share."""

    value: int


class _StopRequestError(Exception):
    """This worker was asked to stop."""


class _StopAtRequest:
    """The callback of a run in a pool: it stops when it is told to, or when its parent is gone."""

    def __init__(self, program: Program) -> None:
        self.folder = str(program[0].folder)

    def start(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:  # noqa: ARG002 - the callback's interface
        """Its records say everything but the notes."""
        if _notes is not None:
            _notes.put((self.folder, list(notes)))

    def step(self, epoch: int, step: int) -> None:  # noqa: ARG002 - the callback's interface
        if _asked_to_stop():
            raise _StopRequestError

    def epoch(self, row: dict[str, Any]) -> None:
        """Its records say everything."""


_notes: Notes | None = None


def _asked_to_stop() -> bool:
    """Until ``prepare`` or ``on_cluster`` says otherwise, nobody asks."""
    return False


def prepare(stop: Flag, notes: Notes, parent: int, threads: int) -> None:
    """Prepares a process of this machine."""
    import torch

    from osakd.engine.allocator import keep_freed_memory

    def asked() -> bool:
        if os.getppid() != parent:
            os._exit(1)  # nobody is left to tell
        return bool(stop.value)

    global _asked_to_stop, _notes
    _asked_to_stop, _notes = asked, notes
    torch.set_num_threads(threads)
    keep_freed_memory()
    notes.put(("", []))


def on_cluster(run: Callable[[Program], Errors], program: Program) -> Errors:
    """Runs a program on a worker of a dask.distributed cluster, with one thread.

    It stops when its task is cancelled, which also happens when the client that gave it has gone.
    """
    import torch
    from distributed import get_worker

    worker = get_worker()
    task = worker.state.tasks[str(worker.get_current_task())]

    def asked() -> bool:
        return task.state == "cancelled"

    global _asked_to_stop
    _asked_to_stop = asked
    torch.set_num_threads(1)
    return run(program)


def run_single(program: Program) -> Errors:
    """Runs a job by itself."""
    from osakd.engine.environment import pick_device
    from osakd.engine.train import train_run

    (job,) = program
    plan = _plan(job)
    device, executor = pick_device(job.device), "auto" if job.executor == "fused" else job.executor
    train_run(*plan, resume=True, device=device, callback=_StopAtRequest(program), executor=executor)
    return {}


def run_fused(program: Program, lowerings: Sequence[str], against_processes: bool) -> Errors:
    """Runs jobs in one program; the errors of those that failed."""
    from osakd.engine.environment import pick_device
    from osakd.engine.train import train_fused

    plans = [_plan(job) for job in program]
    device = pick_device(program[0].device)
    return dict(
        train_fused(
            plans,
            device=device,
            callback=_StopAtRequest(program),
            lowerings=lowerings,
            against_processes=against_processes,
        )
    )


def _plan(job: Job) -> "Planned":
    from osakd.data.reading import recorded_reading
    from osakd.engine.loop import Planned

    if _asked_to_stop():
        raise _StopRequestError
    config = job.config
    channels = config.data["input_shape"][0]
    reading = recorded_reading(config.data)
    view = _view(job.data, reading, config.fraction, config.validation, config.seed, channels)
    return Planned(config, view, job.folder)


@lru_cache(maxsize=8)
def _view(data: str, reading: "Reading", fraction: float, validation: float, seed: int, channels: int) -> "DataArrays":
    """The data as a run sees them; runs of one seed share them."""
    return _load(data, reading).view(fraction=fraction, validation=validation, seed=seed, channels=channels)


@lru_cache(maxsize=1)
def _load(data: str, reading: "Reading") -> "DataArrays":
    from osakd.data.sources import load_data

    return load_data(data, reading)
