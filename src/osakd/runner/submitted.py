# pyright: reportMissingImports=false
"""Programs as jobs of submitit: job arrays of SLURM, or processes that submitit starts on this machine."""

import shutil
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from osakd.durable import sync_folder
from osakd.errors import InputError, RunError, as_sentences, unknown_name
from osakd.runner.jobs import Errors, Program
from osakd.runner.pools import Run
from osakd.runner.worker import run_as_job

FOLDER = ".submitit"
"""Where the logs of the jobs are, in the folder of the runs."""
CLUSTERS = ("slurm", "local")
DEFAULT_MINUTES = 240
LONGEST_ARRAY = 1000
"""SLURM's default for the size of a job array is 1001."""
SECONDS_BETWEEN_POLLS = 1.0


class SubmititPool:
    """Jobs of submitit, one for each program; those submitted together are one job array.

    A job that ends without a result (killed, preempted, its time was up) is submitted again by the runner. Jobs stop
    when ``stop`` is called or the runner is gone, see ``run_as_job``.

    Args:
        parameters: ``cluster``, ``slurm`` by default or ``local``, and options of ``sbatch`` with submitit's names:
            ``partition``, ``time`` (in minutes), ``cpus_per_task``, ``mem``, ``gpus_per_node``, ``account``, and so on.
        folder: the folder of the runs, which the machines of the jobs see too.

    Raises:
        InputError: submitit is not installed, this is no machine of a SLURM cluster, or it does not know a parameter.
    """

    def __init__(self, parameters: Mapping[str, Any], folder: Path) -> None:
        try:
            import submitit
        except ImportError as error:
            raise InputError(
                "`submitit` needs the library of that name, which is not installed: pip install 'osakd[submitit]'."
            ) from error
        given = {"time": DEFAULT_MINUTES, "cpus_per_task": 1, "job_name": "osakd"} | dict(parameters)
        cluster, minutes = given.pop("cluster", "slurm"), given["time"]
        if cluster not in CLUSTERS:
            raise unknown_name("cluster of `submitit`", str(cluster), CLUSTERS)
        if not isinstance(minutes, int) or minutes < 1:
            raise InputError(f"`time` of `submitit` is a whole number of minutes, at least 1, got {minutes!r}.")
        if cluster == "slurm" and shutil.which("srun") is None:
            raise InputError(
                "There is no SLURM here (srun is not found): give the command on a machine of the cluster, or try it "
                "with submitit's processes on this machine, --submitit '{cluster: local}'."
            )
        self._folder = (folder / FOLDER).absolute()
        self._alive = self._folder / f"alive-{uuid4().hex}"
        if cluster == "local":
            self._executor = submitit.LocalExecutor(self._folder)
            self._executor.update_parameters(timeout_min=minutes)
        else:
            self._executor = submitit.SlurmExecutor(self._folder)
            try:
                self._executor.update_parameters(**given)
            except ValueError as error:
                raise InputError(f"`submitit`: {' '.join(str(error).split())}.") from error
        with as_sentences(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._alive.touch()
            sync_folder(self._folder)
        self._failed: type[Exception] = submitit.core.utils.FailedJobError
        self._without_result: type[Exception] = submitit.core.utils.UncompletedJobError
        self._waiting: list[tuple[Future[Errors], Run, Program]] = []
        self._jobs: dict[Future[Errors], Any] = {}
        self._died: set[Future[Errors]] = set()
        self._next_poll = 0.0

    def is_free(self) -> bool:
        """True: the cluster has the queue."""
        return True

    def submit(self, run: Run, program: Program) -> "Future[Errors]":
        """Notes a program for the next job array."""
        future: Future[Errors] = Future()
        self._waiting.append((future, run, program))
        return future

    def release(self, future: "Future[Errors]") -> bool:
        """Whether the job of a program that has ended left no result."""
        died = future in self._died
        self._died.discard(future)
        return died

    def notes(self) -> dict[str, tuple[str, ...]]:
        """Submits what waits and looks for results, at most once a second. No notes: results name the executor."""
        if time.monotonic() >= self._next_poll:
            self._submit_waiting()
            for future, job in list(self._jobs.items()):
                self._alive.touch()
                if job.done():
                    del self._jobs[future]
                    self._take_result(future, job)
            self._next_poll = time.monotonic() + SECONDS_BETWEEN_POLLS
        return {}

    def stop(self) -> None:
        """Cancels every job; those that run stop at their next step."""
        self.close()
        for job in self._jobs.values():
            job.cancel(check=False)

    def close(self) -> None:
        """Leaves the cluster; a job that still runs notices it."""
        self._alive.unlink(missing_ok=True)

    def _submit_waiting(self) -> None:
        while self._waiting:
            array, self._waiting = self._waiting[:LONGEST_ARRAY], self._waiting[LONGEST_ARRAY:]
            calls = [partial(run_as_job, run, program, self._alive) for _, run, program in array]
            try:
                jobs = self._executor.submit_array(calls)
            except (self._without_result, subprocess.SubprocessError, OSError, RuntimeError) as error:
                words = " ".join(str(error).split())
                raise RunError(f"The jobs could not be submitted: {words}. Correct --submitit.") from error
            self._jobs |= {future: job for (future, *_), job in zip(array, jobs, strict=True)}

    def _take_result(self, future: "Future[Errors]", job: Any) -> None:
        try:
            found = job.result()
        except self._failed as error:  # before our own code ran: another version, a missing library
            lines = [line for line in str(error).splitlines() if "Error" in line]
            found = RunError(f"Job {job.job_id} failed ({lines[-1].strip()}): its log is {str(job.paths.stderr)!r}.")
        except self._without_result:
            found = None
        if isinstance(found, BaseException):
            future.set_exception(found)
            return
        if found is None:
            self._died.add(future)
        future.set_result(found or {})
