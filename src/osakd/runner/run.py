"""Many runs: fused in one program, or one by one in a pool of workers; progress is read from their records."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from osakd.engine.folders import check_folder
from osakd.errors import InputError, NotFusedError, RunError
from osakd.methods.registry import settings_of
from osakd.records import CHECKPOINT, is_free, read_config, read_metrics, read_result, write_error
from osakd.runner.jobs import Errors, Job, Program, longest_first, programs_of, with_stages
from osakd.runner.pools import ClusterPool, LocalPool, Pool, Run
from osakd.runner.progress import Look, Paces, Progress, waiting
from osakd.runner.worker import run_fused, run_single

SECONDS_BETWEEN_LOOKS = 0.25
MOST_DEATHS = 3
"""So often a worker may die with a program without a checkpoint in between."""


def run_jobs(jobs: Sequence[Job], *, processes: int, look: Look, scheduler: str | None = None) -> Errors:
    """Runs every job, and the stages before it; what is on disk already is not run again.

    With the executor ``fused``, jobs that differ in seed and method only run in one program; with ``serial`` or
    ``cuda_graph`` each by itself, one at a time on a GPU; ``auto`` is the first where the networks can be folded into
    channels and no cluster is given, else the second. A worker that dies costs the epochs since its last checkpoint.

    Args:
        jobs: of one comparison; the longest start first, so that no core waits for the last one.
        processes: cores to use here: threads of a fused program, or processes of one thread each.
        look: is given the state of every job and stage four times a second.
        scheduler: address of a dask.distributed scheduler, whose workers then run the programs.

    Returns:
        The error of each job that failed, by folder, which is also recorded there; the others ran to their end.

    Raises:
        InputError: there is no such scheduler.
        RunError: no process could be started, or the scheduler has gone.
        KeyboardInterrupt: after the workers have been told to stop.
    """
    chains = [[job] if _finished(job) else with_stages(job) for job in jobs]
    every = [job for chain in chains for job in chain]
    done = [Progress(job, read_metrics(job.folder), running=False, done=True) for job in every if _finished(job)]
    look(done)
    runner = _Runner(processes, scheduler, look)
    runner.seen = {state.job.folder: state for state in done}
    runner.seen |= {job.folder: waiting(job) for job in every if job.folder not in runner.seen}
    errors: Errors = {}
    for level in range(max(len(chain) for chain in chains)):
        due = [chain[level] for chain in chains if level < len(chain) and chain[-1].folder not in errors]
        failed = runner.run_level([job for job in due if not runner.seen[job.folder].done])
        for chain in chains:
            for folder in {job.folder for job in chain} & set(failed):
                errors[chain[-1].folder] = failed[folder]
                _record(chain[-1], failed[folder])
                for job in chain[level:]:  # what waits for it will not run
                    runner.seen[job.folder] = replace(waiting(job), done=True, error=failed[folder])
        if failed:
            look(list(runner.seen.values()))
    return errors


class _Runner:
    """Runs jobs level by level; ``seen`` has their states, ``at`` the epochs they had when a cluster was given them."""

    def __init__(self, processes: int, scheduler: str | None, look: Look) -> None:
        self.processes, self.scheduler, self.look = processes, scheduler, look
        self.seen: dict[Path, Progress] = {}
        self.paces = Paces()
        self.at: dict[Path, int] = {}

    def run_level(self, jobs: Sequence[Job]) -> Errors:
        """Runs jobs that wait for no other."""
        executor = jobs[0].executor if jobs else "auto"
        auto = executor == "auto"
        startable = [job for job in jobs if _startable(job)]
        if auto:
            # Nothing recorded shows mapped methods (vmap) ahead of a process for each run: they fuse on request only.
            startable = [job for job in startable if settings_of(job.config).single_network and not self.scheduler]
        programs = programs_of(startable) if executor in ("auto", "fused") else []
        errors: Errors = {}
        if programs:
            run = partial(run_fused, lowerings=("channels",) if auto else ("channels", "vmap"), against_processes=auto)
            errors |= self._run_all(programs, run, workers=1, threads=self.processes)
        fused = {job.folder for program in programs for job in program}
        if auto:
            # What cannot be fused, or is not worth it, is run one by one.
            fused -= {folder for folder, error in errors.items() if isinstance(error, NotFusedError)}
            errors = {folder: error for folder, error in errors.items() if folder in fused}
        singles: list[Program] = [(job,) for job in longest_first(job for job in jobs if job.folder not in fused)]
        self.seen |= {job.folder: waiting(job) for (job,) in singles}
        if singles:
            errors |= self._run_all(singles, run_single, workers=self._workers(singles[0][0]), threads=1)
        return errors

    def _workers(self, job: Job) -> int:
        from osakd.engine.environment import pick_device

        on_gpu = not self.scheduler and pick_device(job.device).type != "cpu"
        return 1 if on_gpu else self.processes

    def _run_all(self, programs: Sequence[Program], run: Run, *, workers: int, threads: int) -> Errors:
        """Runs programs in a pool; one whose worker died goes on from its checkpoints in another."""
        pool: Pool = ClusterPool(self.scheduler) if self.scheduler else LocalPool(workers, threads)
        left, running = deque(programs), dict[Future[Errors], Program]()
        deaths: dict[Path, tuple[int, int]] = {}
        errors: Errors = {}
        try:
            while left or running:
                while left and pool.is_free():
                    program = left.popleft()
                    running[pool.submit(run, program)] = program
                ended, _ = wait(running, SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
                for future in ended:
                    program = running.pop(future)
                    if not pool.ended(future):
                        errors |= _errors(future, program)
                    elif _may_go_on(program, deaths):
                        left.appendleft(program)
                        self.paces.forget(program[0])
                        continue
                    else:
                        errors |= dict.fromkeys((job.folder for job in program), _died(program))
                    self._note(program, pool, errors, done=True)
                for program in running.values():
                    self._note(program, pool, errors, done=False)
                self.look(list(self.seen.values()))
        except BaseException:
            pool.stop()
            raise
        finally:
            pool.close()
        return errors

    def _note(self, program: Program, pool: Pool, errors: Errors, *, done: bool) -> None:
        """Keeps the states of a program's jobs."""
        notes = pool.said().get(str(program[0].folder), ())
        for number, job in enumerate(program):
            running = not done and job.folder.exists()
            rows = read_metrics(job.folder) if (running and not number) or done else []
            if self.scheduler and running:  # it may still wait for a worker: new epochs show that it does not
                running = len(rows) > self.at.setdefault(job.folder, len(rows))
            pace = self.paces.left(job, len(rows)) if running and not number else None
            replicas = 0 if number else len(program)
            self.seen[job.folder] = Progress(
                job, rows, running, done, errors.get(job.folder), replicas, notes, left=pace
            )


def _may_go_on(program: Program, deaths: dict[Path, tuple[int, int]]) -> bool:
    """Whether a program whose worker died is tried again: not where it has saved nothing ``MOST_DEATHS`` times."""
    folder = program[0].folder
    saved = (folder / CHECKPOINT).stat().st_mtime_ns if (folder / CHECKPOINT).exists() else 0
    before, at = deaths.get(folder, (0, saved))
    deaths[folder] = (before + 1 if saved == at else 1, saved)
    return deaths[folder][0] < MOST_DEATHS


def _died(program: Program) -> RunError:
    less = "--executor serial makes one run at a time" if len(program) > 1 else "a smaller --batch-size"
    return RunError(
        f"Its worker process died {MOST_DEATHS} times without a checkpoint in between: it was killed from outside (for "
        f"want of memory?); give the same command again, {less} needs less memory."
    )


def _startable(job: Job) -> bool:
    """One that is not would stop the others of its program; by itself it fails with its reason."""
    try:
        check_folder(job.folder, job.config, resume=True)
    except InputError:
        return False
    return True


def _finished(job: Job) -> bool:
    return read_config(job.folder) == job.config and read_result(job.folder) is not None


def _record(job: Job, error: InputError | RunError) -> None:
    """Writes why a job failed into its folder, unless the folder is not its own or cannot be written."""
    with suppress(InputError, RunError):
        if is_free(job.folder) or read_config(job.folder) == job.config:
            write_error(job.folder, str(error))


def _errors(future: "Future[Errors]", program: Program) -> Errors:
    if future.cancelled():
        raise RunError("The dask scheduler has gone: start it again, and give the same command.")
    error = future.exception()
    if error is None:
        return future.result()
    if type(error).__name__ == "KilledWorker":
        error = _died(program)
    if not isinstance(error, InputError | RunError):
        error = RunError(f"unexpected {type(error).__name__}: {' '.join(str(error).split())}.")
    return dict.fromkeys((job.folder for job in program), error)
