"""What a process of the pool does: it runs programs, tells its notes, and stops when it is told to."""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from typing import TYPE_CHECKING, Any

from osakd.experiments.jobs import Errors, Job, Program
from osakd.records import RunConfig

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays
    from osakd.engine.loop import Planned

Notes = SimpleQueue[tuple[str, list[str]]]
"""The folder of a program's first job, and what its program says when it starts."""


class _StopRequestError(Exception):
    """The parent asked this process to stop."""


class _StopAtRequest:
    """The watcher of a run in a pool: it stops when it is told to, or when its parent is gone."""

    def __init__(self, program: Program) -> None:
        self.folder = str(program[0].folder)

    def start(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:  # noqa: ARG002 - the watcher's interface
        """Its records say everything but the notes."""
        if _notes is not None:
            _notes.put((self.folder, list(notes)))

    def step(self, epoch: int, step: int) -> None:  # noqa: ARG002 - the watcher's interface
        if _stop is not None and _stop.is_set():
            raise _StopRequestError
        if os.getppid() != _parent:
            os._exit(1)

    def epoch(self, row: dict[str, Any]) -> None:
        """Its records say everything."""


_stop: Event | None = None
_notes: Notes | None = None
_parent = 0


def prepare(stop: Event, notes: Notes, parent: int, threads: int) -> None:
    """Prepares a process of the pool."""
    import torch

    from osakd.engine.allocator import keep_freed_memory

    global _stop, _notes, _parent
    _stop, _notes, _parent = stop, notes, parent
    torch.set_num_threads(threads)
    keep_freed_memory()


def run_single(program: Program) -> Errors:
    """Runs a job by itself."""
    from osakd.engine.environment import pick_device
    from osakd.engine.train import train_run

    (job,) = program
    plan = _plan(job)
    device, executor = pick_device(job.device), "auto" if job.executor == "fused" else job.executor
    train_run(*plan, resume=True, device=device, watcher=_StopAtRequest(program), executor=executor)
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
            watcher=_StopAtRequest(program),
            lowerings=lowerings,
            against_processes=against_processes,
        )
    )


def _plan(job: Job) -> "Planned":
    from osakd.engine.config import run_view
    from osakd.engine.loop import Planned

    if _stop is not None and _stop.is_set():
        raise _StopRequestError
    config = job.config
    return Planned(
        config, _view(job.data, config.model, config.validation, config.seed, config.fraction, run_view), job.folder
    )


@lru_cache(maxsize=8)
def _view(
    data: str, model: str, validation: float, seed: int, fraction: float, run_view: Callable[..., "DataArrays"]
) -> "DataArrays":
    """The data as a run sees them; runs of one seed share them."""
    return run_view(_load(data), model, validation, seed, fraction)


@lru_cache(maxsize=1)
def _load(data: str) -> "DataArrays":
    from osakd.data.sources import load_data

    return load_data(data)
