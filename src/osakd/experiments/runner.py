"""Many runs on one machine: a pool of processes with one thread each, and their progress read from their records."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.errors import InputError, RunError
from osakd.records import RunConfig, read_config, read_metrics, read_result

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays

SECONDS_BETWEEN_LOOKS = 0.25


@dataclass(frozen=True)
class Job:
    """One run to make.

    Attributes:
        label: of its method, for people.
        data: as ``load_data`` takes it.
        config: its complete configuration.
        folder: where it is recorded.
        device: to run on, None for the default.
    """

    label: str
    data: str
    config: RunConfig
    folder: Path
    device: str | None


@dataclass(frozen=True)
class Progress:
    """How far a job is: the rows of its learning curve, and whether it works, is done, or failed."""

    job: Job
    rows: list[dict[str, Any]]
    running: bool
    done: bool
    error: InputError | RunError | None = None


def run_jobs(
    jobs: Sequence[Job], *, processes: int, look: Callable[[list[Progress]], None]
) -> dict[Path, InputError | RunError]:
    """Runs every job, several at a time; a job that is on disk already is not run again.

    Args:
        jobs: in the order in which they start.
        processes: how many at a time, each with one thread.
        look: is given the state of every job four times a second.

    Returns:
        The error of each job that failed, by folder; the others ran to their end.

    Raises:
        RunError: a process was killed from outside.
        KeyboardInterrupt: after the processes have stopped.
    """
    done = [Progress(job, read_metrics(job.folder), running=False, done=True) for job in jobs if _finished(job)]
    recorded = {state.job.folder for state in done}
    jobs = [job for job in jobs if job.folder not in recorded]
    look(done)
    if not jobs:
        return {}
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, initializer=_start, initargs=(stop, os.getpid()))
    seen = {state.job.folder: state for state in done}
    try:
        with _ctrl_c_ignored():  # the workers inherit this: Ctrl-C is the parent's to handle
            futures = {pool.submit(_run, job): job for job in jobs}
        pending = set(futures)
        while pending:
            _, pending = wait(pending, SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            for future, job in futures.items():
                if job.folder not in seen or not seen[job.folder].done:
                    seen[job.folder] = _progress(future, job)
            look(list(seen.values()))
    except BaseException:
        stop.set()
        raise
    finally:
        with _ctrl_c_ignored():
            pool.shutdown(wait=True, cancel_futures=True)
    return {folder: state.error for folder, state in seen.items() if state.error is not None}


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _finished(job: Job) -> bool:
    return read_config(job.folder) == job.config and read_result(job.folder) is not None


class _StopRequestError(Exception):
    """The parent asked this process to stop."""


class _StopAtRequest:
    """The watcher of a run in a pool: it stops when it is told to, or when its parent is gone."""

    def start(self, config: RunConfig, steps: int, done: int) -> None:
        """Its records say everything."""

    def step(self, epoch: int, step: int) -> None:  # noqa: ARG002 - the watcher's interface
        if _stop is not None and _stop.is_set():
            raise _StopRequestError
        if os.getppid() != _parent:
            os._exit(1)

    def epoch(self, row: dict[str, Any]) -> None:
        """Its records say everything."""


_stop: Event | None = None
_parent = 0


def _start(stop: Event, parent: int) -> None:
    """Prepares a worker: one thread."""
    import torch

    global _stop, _parent
    _stop, _parent = stop, parent
    torch.set_num_threads(1)


def _run(job: Job) -> None:
    from osakd.engine.config import run_view
    from osakd.engine.environment import pick_device
    from osakd.engine.train import train_run

    if _stop is not None and _stop.is_set():
        raise _StopRequestError
    config = job.config
    data = run_view(_load(job.data), config.model, config.validation, config.seed)
    train_run(config, data, job.folder, resume=True, device=pick_device(job.device), watcher=_StopAtRequest())


@lru_cache(maxsize=1)
def _load(data: str) -> "DataArrays":
    from osakd.data.sources import load_data

    return load_data(data)


def _progress(future: Future[None], job: Job) -> Progress:
    done = future.done()
    running = future.running() and job.folder.exists()
    return Progress(job, read_metrics(job.folder) if running or done else [], running, done, _error(future))


def _error(future: Future[None]) -> InputError | RunError | None:
    if not future.done() or future.cancelled():
        return None
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        raise RunError(
            "A worker process died: it was killed from outside (for want of memory?), or a script called osakd.compare "
            'without `if __name__ == "__main__":`; the same again goes on, and --processes 1 needs less memory.'
        ) from error
    if isinstance(error, InputError | RunError):
        return error
    if error is not None:
        return RunError(f"unexpected {type(error).__name__}: {' '.join(str(error).split())}.")
    return None
