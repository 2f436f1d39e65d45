"""Many runs on one machine: fused in one program, or in a pool of processes; progress is read from their records."""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.engine.config import ExecutorName
from osakd.engine.folders import check_folder
from osakd.errors import InputError, NotFusedError, RunError
from osakd.records import RunConfig, read_config, read_metrics, read_result

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays
    from osakd.engine.train import Planned

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
    """How far a job is.

    Attributes:
        job: which.
        rows: of its learning curve so far.
        running: it is being worked at.
        done: it has ended.
        error: why it failed, if it did.
        replicas: runs in its program; 0 for one that goes along with another job's.
    """

    job: Job
    rows: list[dict[str, Any]]
    running: bool
    done: bool
    error: InputError | RunError | None = None
    replicas: int = 1


Program = tuple[Job, ...]
Errors = dict[Path, InputError | RunError]


def run_jobs(
    jobs: Sequence[Job], *, processes: int, look: Callable[[list[Progress]], None], executor: ExecutorName = "auto"
) -> Errors:
    """Runs every job; a job that is on disk already is not run again.

    Args:
        jobs: in the order in which they start.
        processes: cores to use: threads of a fused program, or processes of one thread each.
        look: is given the state of every job four times a second.
        executor: ``fused`` runs jobs that differ in seed and method only in one program; ``serial`` each in a process
            of its own; ``auto`` the first where the networks can be folded into channels, else the second.

    Returns:
        The error of each job that failed, by folder; the others ran to their end.

    Raises:
        RunError: a process was killed from outside.
        KeyboardInterrupt: after the processes have stopped.
    """
    done = [Progress(job, read_metrics(job.folder), running=False, done=True) for job in jobs if _finished(job)]
    seen = {state.job.folder: state for state in done}
    look(done)
    rest = [job for job in jobs if job.folder not in seen]
    programs = [] if executor == "serial" else programs_of([job for job in rest if _startable(job)])
    errors: Errors = {}
    if programs:
        # Nothing recorded shows mapped networks (vmap) ahead of a process for each: they run on request only.
        run = partial(_run_fused, lowerings=("channels",) if executor == "auto" else ("channels", "vmap"))
        errors |= _run_all(programs, run, workers=1, threads=processes, seen=seen, look=look)
    fused = {job.folder for program in programs for job in program}
    if executor == "auto":
        # What cannot be fused, or is not worth it, is run one by one.
        fused -= {folder for folder, error in errors.items() if isinstance(error, NotFusedError)}
        errors = {folder: error for folder, error in errors.items() if folder in fused}
    singles: list[Program] = [(job,) for job in rest if job.folder not in fused]
    for (job,) in singles:
        seen.pop(job.folder, None)
    if singles:
        errors |= _run_all(singles, _run, workers=processes, threads=1, seen=seen, look=look)
    return errors


def programs_of(jobs: Sequence[Job]) -> list[Program]:
    """Jobs that may share a program: all but seed and method are equal, and every seed has the same methods."""
    by_seed: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        shared = {k: v for k, v in asdict(job.config).items() if k not in ("method", "settings", "seed")}
        shared["data"] = {k: v for k, v in shared["data"].items() if k != "class_counts"}
        key = json.dumps([shared, job.data, job.device], sort_keys=True)
        by_seed.setdefault((key, job.config.seed), []).append(job)
    alike: dict[tuple[str, tuple[str, ...]], list[Job]] = {}
    for (key, _), group in by_seed.items():
        group = sorted(group, key=lambda job: job.label)
        alike.setdefault((key, tuple(job.label for job in group)), []).extend(group)
    return [tuple(group) for group in alike.values() if len(group) > 1]


def _run_all(
    programs: Sequence[Program],
    run: Callable[[Program], Errors],
    *,
    workers: int,
    threads: int,
    seen: dict[Path, Progress],
    look: Callable[[list[Progress]], None],
) -> Errors:
    """Runs programs in a pool of processes; ``seen`` is kept up to date."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    start = (stop, os.getpid(), threads)
    pool = ProcessPoolExecutor(min(workers, len(programs)), context, initializer=_start, initargs=start)
    errors: Errors = {}
    try:
        with _ctrl_c_ignored():  # the workers inherit this: Ctrl-C is the parent's to handle
            futures = {pool.submit(run, program): program for program in programs}
        pending = set(futures)
        while pending:
            ended, pending = wait(pending, SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            for future in ended:
                errors |= _errors(future, futures[future])
            for future, program in futures.items():
                if future in ended or not future.done():
                    seen |= _progress(future, program, errors)
            look(list(seen.values()))
    except BaseException:
        stop.set()
        raise
    finally:
        with _ctrl_c_ignored():
            pool.shutdown(wait=True, cancel_futures=True)
    return errors


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


def _startable(job: Job) -> bool:
    """One that is not would stop the others of its program; by itself it fails with its reason."""
    try:
        check_folder(job.folder, job.config, resume=True)
    except InputError:
        return False
    return True


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


def _start(stop: Event, parent: int, threads: int) -> None:
    """Prepares a worker."""
    import torch

    global _stop, _parent
    _stop, _parent = stop, parent
    torch.set_num_threads(threads)


def _run(program: Program) -> Errors:
    from osakd.engine.environment import pick_device
    from osakd.engine.train import train_run

    (job,) = program
    plan = _plan(job)
    train_run(*plan, resume=True, device=pick_device(job.device), watcher=_StopAtRequest())
    return {}


def _run_fused(program: Program, lowerings: Sequence[str]) -> Errors:
    from osakd.engine.environment import pick_device
    from osakd.engine.train import train_fused

    plans = [_plan(job) for job in program]
    device = pick_device(program[0].device)
    return dict(train_fused(plans, device=device, watcher=_StopAtRequest(), lowerings=lowerings))


def _plan(job: Job) -> "Planned":
    from osakd.engine.config import run_view
    from osakd.engine.train import Planned

    if _stop is not None and _stop.is_set():
        raise _StopRequestError
    config = job.config
    return Planned(config, _view(job.data, config.model, config.validation, config.seed, run_view), job.folder)


@lru_cache(maxsize=8)
def _view(data: str, model: str, validation: float, seed: int, run_view: Callable[..., "DataArrays"]) -> "DataArrays":
    """The data as a run sees them; runs of one seed share them."""
    return run_view(_load(data), model, validation, seed)


@lru_cache(maxsize=1)
def _load(data: str) -> "DataArrays":
    from osakd.data.sources import load_data

    return load_data(data)


def _progress(future: "Future[Errors]", program: Program, errors: Errors) -> dict[Path, Progress]:
    done = future.done()
    found = {}
    for number, job in enumerate(program):
        running = future.running() and job.folder.exists()
        rows = read_metrics(job.folder) if (running and not number) or done else []
        replicas = 0 if number else len(program)
        found[job.folder] = Progress(job, rows, running, done, errors.get(job.folder), replicas)
    return found


def _errors(future: "Future[Errors]", program: Program) -> Errors:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenProcessPool):
        raise RunError(
            "A worker process died: it was killed from outside (for want of memory?), or a script called osakd.compare "
            'without `if __name__ == "__main__":`; the same again goes on, and --processes 1 needs less memory.'
        ) from error
    if not isinstance(error, InputError | RunError):
        error = RunError(f"unexpected {type(error).__name__}: {' '.join(str(error).split())}.")
    return dict.fromkeys((job.folder for job in program), error)
