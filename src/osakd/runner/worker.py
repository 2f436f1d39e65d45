"""A worker, which is a process here or on a cluster: it runs programs, and stops when it is asked to."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from osakd.engine.callbacks import Callback
from osakd.engine.executors.policy import Sharing, asked_alone
from osakd.records import RunConfig
from osakd.runner.jobs import Errors, Job, Program

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays
    from osakd.data.options import ImageOptions
    from osakd.engine.loop import Planned


class Notes(Protocol):
    """A queue of the notes of programs, each with the folder of its first job; a new process puts an empty folder."""

    def put(self, item: tuple[str, list[str]], /) -> None:
        """Adds an item."""

    def get(self) -> tuple[str, list[str]]:
        """Takes an item."""
        ...

    def empty(self) -> bool:
        """Whether there is no item."""
        ...


class Flag(Protocol):
    """A number in shared memory."""

    value: int


@dataclass
class SharedFlag:
    """A number that threads share."""

    value: int


class _StopRequestError(Exception):
    """Raised where this worker was asked to stop."""


class _StopAtRequest(Callback):
    """The callback of a run in a pool: it stops the run when asked to, or when the parent process is gone."""

    def __init__(self, program: Program) -> None:
        self.folder = str(program[0].folder)

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:  # noqa: ARG002 - the callback's interface
        """Passes on the notes, which are not in the records."""
        if _notes is not None:
            _notes.put((self.folder, list(notes)))

    def on_step_begin(self, epoch: int, step: int) -> None:  # noqa: ARG002 - the callback's interface
        """Stops the run."""
        if _asked_to_stop():
            raise _StopRequestError


_notes: Notes | None = None


def _asked_to_stop() -> bool:
    """Whether to stop; ``initialise_process`` and ``run_on_cluster`` replace this."""
    return False


def initialise_process(stop: Flag, notes: Notes, parent: int, threads: int) -> None:
    """Initialises a process of this machine."""
    import torch

    from osakd.engine.allocator import keep_freed_memory

    def asked() -> bool:
        if os.getppid() != parent:
            os._exit(1)  # no parent is left to report to
        return bool(stop.value)

    global _asked_to_stop, _notes
    _asked_to_stop, _notes = asked, notes
    torch.set_num_threads(threads)
    keep_freed_memory()
    notes.put(("", []))


def run_here(run: Callable[[Program], Errors], program: Program, stop: Flag, notes: Notes, threads: int) -> Errors:
    """Runs a program in a thread of this process."""
    import torch

    global _asked_to_stop, _notes
    before = _asked_to_stop, _notes
    _asked_to_stop, _notes = (lambda: bool(stop.value)), notes
    torch.set_num_threads(threads)
    try:
        return run(program)
    finally:
        _asked_to_stop, _notes = before


def run_on_cluster(run: Callable[[Program], Errors], program: Program) -> Errors:
    """Runs a program on a worker of a dask.distributed cluster, with one thread.

    It stops when its task is cancelled, which also happens when the client is gone.
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
    """Runs one job in its own program."""
    from osakd.engine.environment import pick_device
    from osakd.engine.train import train_run

    (job,) = program
    plan, device, callback = _plan(job), pick_device(job.device), _StopAtRequest(program)
    asked = {"executor": asked_alone(job.executor), "kernels": job.kernels}
    train_run(*plan, resume=True, device=device, callback=callback, **asked)
    return {}


def run_fused(program: Program, sharing: Sharing) -> Errors:
    """Runs jobs in one program; the errors of those that failed."""
    from osakd.engine.environment import pick_device
    from osakd.engine.train import train_fused

    plans = [_plan(job) for job in program]
    device = pick_device(program[0].device)
    return dict(train_fused(plans, device=device, callback=_StopAtRequest(program), sharing=sharing))


def _plan(job: Job) -> "Planned":
    from osakd.data.options import recorded_options
    from osakd.engine.loop import Planned

    if _asked_to_stop():
        raise _StopRequestError
    config = job.config
    channels = config.data["input_shape"][0]
    reading = recorded_options(config.data)
    view = _view(job.data, reading, config.fraction, config.validation, config.seed, channels)
    return Planned(config, view, job.folder)


@lru_cache(maxsize=8)
def _view(
    data: str, reading: "ImageOptions", fraction: float, validation: float, seed: int, channels: int
) -> "DataArrays":
    """The data as a run sees them; runs of one seed share them."""
    return _load(data, reading).view(fraction=fraction, validation=validation, seed=seed, channels=channels)


@lru_cache(maxsize=1)
def _load(data: str, reading: "ImageOptions") -> "DataArrays":
    from osakd.data.sources import load_data

    return load_data(data, reading)
