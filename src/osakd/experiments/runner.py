"""Many runs on one machine: fused in one program, or in a pool of processes; progress is read from their records."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from osakd.engine.folders import check_folder
from osakd.errors import InputError, NotFusedError, RunError
from osakd.experiments.jobs import Errors, Job, Program, longest_first, programs_of, with_stages
from osakd.experiments.worker import Notes, prepare, run_fused, run_single
from osakd.methods.settings import METHODS
from osakd.records import read_config, read_metrics, read_result

SECONDS_BETWEEN_LOOKS = 0.25


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
        notes: what its program said when it started.
    """

    job: Job
    rows: list[dict[str, Any]]
    running: bool
    done: bool
    error: InputError | RunError | None = None
    replicas: int = 1
    notes: tuple[str, ...] = ()


def run_jobs(jobs: Sequence[Job], *, processes: int, look: Callable[[list[Progress]], None]) -> Errors:
    """Runs every job, and the stages before it; what is on disk already is not run again.

    With the executor ``fused``, jobs that differ in seed and method only run in one program; with ``serial`` or
    ``graphed`` each in a process of its own, one at a time on a GPU; ``auto`` is the first where the networks can be
    folded into channels, else the second.

    Args:
        jobs: of one comparison; the longest start first, so that no core waits for the last one.
        processes: cores to use: threads of a fused program, or processes of one thread each.
        look: is given the state of every job and stage four times a second.

    Returns:
        The error of each job that failed, by folder; the others ran to their end.

    Raises:
        RunError: a process was killed from outside.
        KeyboardInterrupt: after the processes have stopped.
    """
    chains = [[job] if _finished(job) else with_stages(job) for job in jobs]
    every = [job for chain in chains for job in chain]
    done = [Progress(job, read_metrics(job.folder), running=False, done=True) for job in every if _finished(job)]
    look(done)
    seen = {state.job.folder: state for state in done}
    seen |= {job.folder: _waiting(job) for job in every if job.folder not in seen}
    errors: Errors = {}
    for level in range(max(len(chain) for chain in chains)):
        due = [chain[level] for chain in chains if level < len(chain) and chain[-1].folder not in errors]
        failed = _run_level([job for job in due if not seen[job.folder].done], processes, seen, look)
        for chain in chains:
            for folder in {job.folder for job in chain} & set(failed):
                errors[chain[-1].folder] = failed[folder]
                for job in chain[level:]:  # what waits for it will not run
                    seen[job.folder] = replace(seen[job.folder], running=False, done=True, error=failed[folder])
        if failed:
            look(list(seen.values()))
    return errors


def _run_level(
    jobs: Sequence[Job], processes: int, seen: dict[Path, Progress], look: Callable[[list[Progress]], None]
) -> Errors:
    """Runs jobs that wait for no other."""
    executor = jobs[0].executor if jobs else "auto"
    startable = [job for job in jobs if _startable(job)]
    if executor == "auto":
        # Nothing recorded shows mapped methods (vmap) ahead of a process for each run: they fuse on request only.
        startable = [job for job in startable if METHODS[job.config.method].folds]
    programs = programs_of(startable) if executor in ("auto", "fused") else []
    errors: Errors = {}
    if programs:
        auto = executor == "auto"
        run = partial(run_fused, lowerings=("channels",) if auto else ("channels", "vmap"), against_processes=auto)
        errors |= _run_all(programs, run, workers=1, threads=processes, seen=seen, look=look)
    fused = {job.folder for program in programs for job in program}
    if executor == "auto":
        # What cannot be fused, or is not worth it, is run one by one.
        fused -= {folder for folder, error in errors.items() if isinstance(error, NotFusedError)}
        errors = {folder: error for folder, error in errors.items() if folder in fused}
    singles: list[Program] = [(job,) for job in longest_first(job for job in jobs if job.folder not in fused)]
    seen |= {job.folder: _waiting(job) for (job,) in singles}
    if singles:
        from osakd.engine.environment import pick_device

        on_gpu = pick_device(singles[0][0].device).type != "cpu"
        workers = 1 if on_gpu else processes
        errors |= _run_all(singles, run_single, workers=workers, threads=1, seen=seen, look=look)
    return errors


def _waiting(job: Job) -> Progress:
    return Progress(job, [], running=False, done=False)


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
    notes: Notes = context.SimpleQueue()
    start = (stop, notes, os.getpid(), threads)
    pool = ProcessPoolExecutor(min(workers, len(programs)), context, initializer=prepare, initargs=start)
    errors: Errors = {}
    said: dict[str, tuple[str, ...]] = {}
    try:
        with _ctrl_c_ignored():  # the workers inherit this: Ctrl-C is the parent's to handle
            futures = {pool.submit(run, program): program for program in programs}
        pending = set(futures)
        while pending:
            ended, pending = wait(pending, SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            while not notes.empty():
                folder, sentences = notes.get()
                said[folder] = tuple(sentences)
            for future in ended:
                errors |= _errors(future, futures[future])
            for future, program in futures.items():
                if future in ended or not future.done():
                    seen |= _progress(future, program, errors, said)
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


def _progress(
    future: "Future[Errors]", program: Program, errors: Errors, said: dict[str, tuple[str, ...]]
) -> dict[Path, Progress]:
    done = future.done()
    notes = said.get(str(program[0].folder), ())
    found = {}
    for number, job in enumerate(program):
        running = future.running() and job.folder.exists()
        rows = read_metrics(job.folder) if (running and not number) or done else []
        replicas = 0 if number else len(program)
        found[job.folder] = Progress(job, rows, running, done, errors.get(job.folder), replicas, notes)
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
