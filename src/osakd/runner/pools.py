"""Pools of workers: processes of this machine, or the workers of a dask.distributed cluster.

Both use ``concurrent.futures`` executors. A worker that dies loses what its program did since the last checkpoint: here
the runner submits the program again, on a cluster the scheduler does.
"""

import errno
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from queue import SimpleQueue
from typing import Protocol

from osakd.errors import InputError, RunError
from osakd.runner.jobs import Errors, Program
from osakd.runner.worker import Notes, SharedFlag, initialise_process, run_here, run_on_cluster

Run = Callable[[Program], Errors]
SECONDS_TO_CONNECT = 10.0


class Pool(Protocol):
    """Runs programs."""

    def is_free(self) -> bool:
        """Whether another program can be submitted."""
        ...

    def submit(self, run: Run, program: Program) -> "Future[Errors]":
        """Starts a program."""
        ...

    def release(self, future: "Future[Errors]") -> bool:
        """Frees the worker of a program that has ended; True if it died, so that the program must start again."""
        ...

    def notes(self) -> dict[str, tuple[str, ...]]:
        """The notes of programs from their start, by the folder of their first job."""
        ...

    def stop(self) -> None:
        """Stops every program; what they did is recorded."""
        ...

    def close(self) -> None:
        """Waits until all have stopped."""
        ...


class LocalPool:
    """Processes of this machine, each with its own executor, so that one that dies stops no other.

    Args:
        workers: largest number of processes.
        threads: number of threads of each.
    """

    def __init__(self, workers: int, threads: int) -> None:
        if os.name == "posix":
            _start_quiet_tracker()
        self._context = multiprocessing.get_context("spawn")
        # Without a lock, which a process that is killed while it reads would keep.
        self._stop = self._context.RawValue("b", 0)
        with _shared_memory():
            self._queue: Notes = self._context.SimpleQueue()
        self._start = (self._stop, self._queue, os.getpid(), threads)
        self._free: list[ProcessPoolExecutor | None] = [None] * workers
        self._busy: dict[Future[Errors], ProcessPoolExecutor] = {}
        self._notes: dict[str, tuple[str, ...]] = {}
        self._started = False

    def is_free(self) -> bool:
        """Whether a process is free or can be started."""
        return bool(self._free)

    def submit(self, run: Run, program: Program) -> "Future[Errors]":
        """Starts a program in a process."""
        with _ctrl_c_ignored(), _shared_memory():  # the process inherits this: only the parent handles Ctrl-C
            process = self._free.pop() or ProcessPoolExecutor(
                1, self._context, initializer=initialise_process, initargs=self._start
            )
            future = process.submit(run, program)
        self._busy[future] = process
        return future

    def release(self, future: "Future[Errors]") -> bool:
        """Frees a process; a dead one is replaced.

        Raises:
            RunError: not even one process could start.
        """
        process, died = self._busy.pop(future), isinstance(future.exception(), BrokenProcessPool)
        self._free.append(None if died else process)
        self.notes()
        if died and not self._started:
            raise RunError(
                "No worker process could start: a script that calls osakd.compare or osakd.reproduce must do so under "
                '`if __name__ == "__main__":`.'
            )
        return died

    def notes(self) -> dict[str, tuple[str, ...]]:
        """The notes of programs from their start."""
        while not self._queue.empty():
            folder, sentences = self._queue.get()
            self._started = True
            self._notes[folder] = tuple(sentences)
        return self._notes

    def stop(self) -> None:
        """Asks every process to stop at its next step."""
        self._stop.value = 1

    def close(self) -> None:
        """Waits for the processes."""
        with _ctrl_c_ignored():
            for slot in [*self._busy.values(), *filter(None, self._free)]:
                slot.shutdown(wait=True, cancel_futures=True)


class InProcessPool:
    """A thread of this process, for one program at a time. It needs no other process; nothing isolates it from ours.

    Args:
        threads: number of threads of a program.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._executor = threads, ThreadPoolExecutor(1)
        self._stop, self._queue = SharedFlag(0), SimpleQueue[tuple[str, list[str]]]()
        self._notes: dict[str, tuple[str, ...]] = {}
        self._busy = False

    def is_free(self) -> bool:
        """Whether no program runs."""
        return not self._busy

    def submit(self, run: Run, program: Program) -> "Future[Errors]":
        """Starts a program in the thread."""
        self._busy = True
        return self._executor.submit(run_here, run, program, self._stop, self._queue, self._threads)

    def release(self, future: "Future[Errors]") -> bool:  # noqa: ARG002 - a pool's interface
        """Frees the thread, which cannot die alone."""
        self._busy = False
        return False

    def notes(self) -> dict[str, tuple[str, ...]]:
        """The notes of programs from their start."""
        while not self._queue.empty():
            folder, sentences = self._queue.get()
            self._notes[folder] = tuple(sentences)
        return self._notes

    def stop(self) -> None:
        """Asks the program to stop at its next step."""
        self._stop.value = 1

    def close(self) -> None:
        """Waits for the thread."""
        with _ctrl_c_ignored():
            self._executor.shutdown(wait=True, cancel_futures=True)


class ClusterPool:
    """The workers of a dask.distributed cluster, each with one thread and the same folders as this machine.

    Args:
        address: of the scheduler, ``host:port``.

    Raises:
        InputError: distributed is not installed, no scheduler answers, or it has no workers or some of several threads.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise InputError(
                "`scheduler` needs dask.distributed, which is not installed: pip install 'osakd[cluster]'."
            ) from error
        # It would print tracebacks when the scheduler stops, which the runner reports in a sentence.
        self._logger = logging.getLogger("distributed.client")
        self._logger.disabled = True
        try:
            self._client = Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            self._logger.disabled = False
            raise InputError(
                f"No dask scheduler answers at {address!r}: start one (dask scheduler) and give its address, host:port."
            ) from error
        threads = {worker["nthreads"] for worker in self._client.scheduler_info(n_workers=-1)["workers"].values()}
        if not threads:
            self.close()
            raise InputError(
                f"The scheduler at {address!r} has no workers: start some (dask worker {address} --nthreads 1), and "
                "give the same command."
            )
        if threads - {1}:
            self.close()
            raise InputError(
                f"The workers of {address!r} have {max(threads)} threads, but runs in one process would share their "
                "random numbers: start them with --nthreads 1 (and --nworkers for more of them)."
            )
        # Not pure: the same call on the same run folder does not give the same again.
        self._executor = self._client.get_executor(pure=False)
        self._futures: set[Future[Errors]] = set()

    def is_free(self) -> bool:
        """True: the scheduler has the queue."""
        return True

    def submit(self, run: Run, program: Program) -> "Future[Errors]":
        """Starts a program on a worker."""
        future = self._executor.submit(partial(run_on_cluster, run), program)
        self._futures.add(future)
        return future

    def release(self, future: "Future[Errors]") -> bool:
        """False: the scheduler gives the program of a dead worker to another one."""
        self._futures.discard(future)
        return False

    def notes(self) -> dict[str, tuple[str, ...]]:
        """No notes: results say which executor was used."""
        return {}

    def stop(self) -> None:
        """Cancels every program: its worker stops at its next step."""
        for future in self._futures:
            future.cancel()

    def close(self) -> None:
        """Leaves the cluster; its workers stay."""
        self._client.close()
        self._logger.disabled = False


def _start_quiet_tracker() -> None:
    """Starts Python's resource tracker without its warnings about what killed workers leave behind."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:multiprocessing.resource_tracker"
    resource_tracker.ensure_running()
    os.environ.pop("PYTHONWARNINGS")
    if before is not None:
        os.environ["PYTHONWARNINGS"] = before


@contextmanager
def _shared_memory() -> Iterator[None]:
    """Says in one sentence that the locks of worker processes find no room."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise RunError(
            "The shared memory of worker processes, /dev/shm, is full: free some of it, or give the same command with "
            "--processes 1, which needs none."
        ) from error


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
