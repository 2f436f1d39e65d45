"""Runs many jobs: fused in one program, or one by one in a pool of workers. Progress is read from their records."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from osakd.engine.config import recorded_config
from osakd.engine.executors.policy import sharing
from osakd.engine.executors.registry import AUTO
from osakd.engine.folders import check_folder
from osakd.errors import NO_MEMORY, InputError, NotFusedError, RunError, is_out_of_memory, one_line
from osakd.methods.registry import settings_of
from osakd.records import CHECKPOINT, is_free, read_metrics, read_result, write_error
from osakd.runner.jobs import Errors, Job, Program, longest_first, programs_of, with_stages
from osakd.runner.pools import ClusterPool, InProcessPool, LocalPool, Pool, Run
from osakd.runner.progress import OnProgress, Progress, TimeLeft, not_started
from osakd.runner.worker import run_fused, run_single

SECONDS_BETWEEN_UPDATES = 0.25
MOST_DEATHS = 3
"""Number of times that the worker of a program may die without a checkpoint in between."""


def run_jobs(
    jobs: Sequence[Job],
    *,
    processes: int,
    on_progress: OnProgress,
    scheduler: str | None = None,
) -> Errors:
    """Runs every job and the stages before it; finished runs are not run again.

    Jobs that differ only in seed and method share a program where their executor allows it, see
    ``engine.executors.policy``; else each job has its own program, one at a time on a GPU. A worker that dies costs the
    epochs since its last checkpoint.

    Args:
        jobs: the jobs of one comparison; the longest start first, so that no core waits for the last one.
        processes: number of cores to use: threads of a fused program, or processes of one thread each; with 1
            everything runs in this process.
        on_progress: called with the progress of every job and stage four times a second.
        scheduler: address of a dask.distributed scheduler, whose workers then run the programs.

    Returns:
        The error of each job that failed, by folder, which is also recorded there; the others have finished.

    Raises:
        InputError: there is no such scheduler.
        RunError: no process could be started, or the scheduler is gone.
        KeyboardInterrupt: after the workers have been asked to stop.
    """
    chains = [[job] if _finished(job) else with_stages(job) for job in jobs]
    stages = [job for chain in chains for job in chain]
    done = [Progress(job, read_metrics(job.folder), running=False, done=True) for job in stages if _finished(job)]
    on_progress(done)
    runner = _Runner(processes, scheduler, on_progress)
    runner.states = {state.job.folder: state for state in done}
    runner.states |= {job.folder: not_started(job) for job in stages if job.folder not in runner.states}
    errors: Errors = {}
    for level in range(max(len(chain) for chain in chains)):
        due = [chain[level] for chain in chains if level < len(chain) and chain[-1].folder not in errors]
        failed = runner.run_level([job for job in due if not runner.states[job.folder].done])
        for chain in chains:
            for folder in {job.folder for job in chain} & set(failed):
                errors[chain[-1].folder] = failed[folder]
                _record(chain[-1], failed[folder])
                for job in chain[level:]:  # later stages cannot run
                    runner.states[job.folder] = replace(not_started(job), done=True, error=failed[folder])
        if failed:
            on_progress(list(runner.states.values()))
    return errors


class _Runner:
    """Runs jobs level by level.

    Attributes:
        states: the progress of every job.
        first_epochs: number of epochs that each job had when it was submitted to a cluster.
    """

    def __init__(self, processes: int, scheduler: str | None, on_progress: OnProgress) -> None:
        self.processes, self.scheduler, self.on_progress = processes, scheduler, on_progress
        self.on_cluster = bool(scheduler)
        self.states: dict[Path, Progress] = {}
        self.time_left = TimeLeft()
        self.first_epochs: dict[Path, int] = {}

    def run_level(self, jobs: Sequence[Job]) -> Errors:
        """Runs jobs that wait for no other."""
        shared = sharing(
            jobs[0].executor if jobs else AUTO,
            on_cluster=self.on_cluster,
            kernels=jobs[0].kernels if jobs else AUTO,
        )
        programs = programs_of(
            [job for job in jobs if shared.executors and settings_of(job.config).single_network and _startable(job)]
        )
        errors: Errors = {}
        if programs:
            run = partial(run_fused, sharing=shared)
            errors |= self._run_all(programs, run, workers=1, threads=self.processes)
        fused = {job.folder for program in programs for job in program}
        if shared.optional:
            # What cannot be fused, or is faster in processes, runs one by one.
            fused -= {folder for folder, error in errors.items() if isinstance(error, NotFusedError)}
            errors = {folder: error for folder, error in errors.items() if folder in fused}
        singles: list[Program] = [(job,) for job in longest_first(job for job in jobs if job.folder not in fused)]
        self.states |= {job.folder: not_started(job) for (job,) in singles}
        if singles:
            errors |= self._run_all(singles, run_single, workers=self._workers(singles[0][0]), threads=1)
        return errors

    def _workers(self, job: Job) -> int:
        from osakd.engine.environment import pick_device

        on_gpu = not self.on_cluster and pick_device(job.device).type != "cpu"
        return 1 if on_gpu else self.processes

    def _run_all(self, programs: Sequence[Program], run: Run, *, workers: int, threads: int) -> Errors:
        """Runs programs in a pool; a program whose worker died continues from its checkpoints in another worker."""
        pool = self._pool(workers, threads)
        left, running = deque(programs), dict[Future[Errors], Program]()
        deaths: dict[Path, tuple[int, int]] = {}
        errors: Errors = {}
        try:
            while left or running:
                while left and pool.is_free():
                    program = left.popleft()
                    running[pool.submit(run, program)] = program
                ended, _ = wait(running, SECONDS_BETWEEN_UPDATES, return_when=FIRST_COMPLETED)
                for future in ended:
                    program = running.pop(future)
                    if not pool.release(future):
                        errors |= _errors(future, program)
                    elif _may_retry(program, deaths):
                        left.appendleft(program)
                        self.time_left.forget(program[0])
                        continue
                    else:
                        errors |= dict.fromkeys((job.folder for job in program), _worker_died(program))
                    self._update(program, pool, errors, done=True)
                for program in running.values():
                    self._update(program, pool, errors, done=False)
                self.on_progress(list(self.states.values()))
        except BaseException:
            pool.stop()
            raise
        finally:
            pool.close()
        return errors

    def _pool(self, workers: int, threads: int) -> Pool:
        """Where programs run: with one process, in this one."""
        if self.scheduler:
            return ClusterPool(self.scheduler)
        return InProcessPool(threads) if self.processes == 1 else LocalPool(workers, threads)

    def _update(self, program: Program, pool: Pool, errors: Errors, *, done: bool) -> None:
        """Updates the states of a program's jobs."""
        notes = pool.notes().get(str(program[0].folder), ())
        for number, job in enumerate(program):
            running = not done and job.folder.exists()
            rows = read_metrics(job.folder) if (running and not number) or done else []
            if self.on_cluster and running:  # it may still wait for a worker, until new epochs show that it does not
                running = len(rows) > self.first_epochs.setdefault(job.folder, len(rows))
            seconds_left = self.time_left.estimate(job, len(rows)) if running and not number else None
            replicas = 0 if number else len(program)
            error = errors.get(job.folder)
            self.states[job.folder] = Progress(job, rows, running, done, error, replicas, notes, seconds_left)


def _may_retry(program: Program, deaths: dict[Path, tuple[int, int]]) -> bool:
    """Whether a program whose worker died is tried again: not after ``MOST_DEATHS`` deaths without a checkpoint."""
    folder = program[0].folder
    saved = (folder / CHECKPOINT).stat().st_mtime_ns if (folder / CHECKPOINT).exists() else 0
    before, last_saved = deaths.get(folder, (0, saved))
    deaths[folder] = (before + 1 if saved == last_saved else 1, saved)
    return deaths[folder][0] < MOST_DEATHS


def _worker_died(program: Program) -> RunError:
    less = "--executor serial makes one run at a time" if len(program) > 1 else "a smaller --batch-size"
    return RunError(
        f"Its worker process died {MOST_DEATHS} times without a checkpoint in between, killed from outside (out of "
        f"memory?): give the same command again; {less} needs less memory."
    )


def _startable(job: Job) -> bool:
    """Whether a job can start in its folder. One that cannot would stop its program; alone it fails with its reason."""
    try:
        check_folder(job.folder, job.config, resume=True)
    except InputError:
        return False
    return True


def _finished(job: Job) -> bool:
    return recorded_config(job.folder) == job.config and read_result(job.folder) is not None


def _record(job: Job, error: InputError | RunError) -> None:
    """Records why a job failed, unless its folder has other content or cannot be written."""
    with suppress(InputError, RunError):
        if is_free(job.folder) or recorded_config(job.folder) == job.config:
            write_error(job.folder, str(error))


def _errors(future: "Future[Errors]", program: Program) -> Errors:
    if future.cancelled():
        raise RunError("The dask scheduler is gone: start it again, and give the same command.")
    error = future.exception()
    if error is None:
        return future.result()
    if type(error).__name__ == "KilledWorker":
        error = _worker_died(program)
    if is_out_of_memory(error):
        error = RunError(NO_MEMORY)
    if not isinstance(error, InputError | RunError):
        error = RunError(f"unexpected {type(error).__name__}: {one_line(error)}.")
    return dict.fromkeys((job.folder for job in program), error)
