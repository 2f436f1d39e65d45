"""Where programs run: in processes of this machine, or on the workers of a dask.distributed cluster.

Both are ``concurrent.futures`` executors. A worker that dies loses what its program did since the last checkpoint: here
the program is submitted again by the runner, on a cluster by its scheduler.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from typing import Protocol

from osakd.errors import InputError, RunError
from osakd.runner.jobs import Errors, Program
from osakd.runner.worker import Notes, on_cluster, prepare

Run = Callable[[Program], Errors]
SECONDS_TO_CONNECT = 10.0


class Pool(Protocol):
    """What runs programs."""

    def is_free(self) -> bool:
        """Whether another program can be given to it."""
        ...

    def submit(self, run: Run, program: Program) -> "Future[Errors]":
        """Starts a program."""
        ...

    def ended(self, future: "Future[Errors]") -> bool:
        """Takes back the place of a program that has ended; whether its worker died, so that it must start again."""
        ...

    def said(self) -> dict[str, tuple[str, ...]]:
        """What programs have said at their start, by the folder of their first job."""
        ...

    def stop(self) -> None:
        """Stops every program; what they have done is recorded."""
        ...

    def close(self) -> None:
        """Waits until all have stopped."""
        ...


class LocalPool:
    """Processes of this machine, each an executor of its own: one that dies takes no other along.

    Args:
        workers: how many at most.
        threads: of each.
    """

    def __init__(self, workers: int, threads: int) -> None:
        if os.name == "posix":
            _start_quiet_tracker()
        self._context = multiprocessing.get_context("spawn")
        # Without a lock: a process that is killed while it looks must not keep it.
        self._stop = self._context.RawValue("b", 0)
        self._notes: Notes = self._context.SimpleQueue()
        self._start = (self._stop, self._notes, os.getpid(), threads)
        self._free: list[ProcessPoolExecutor | None] = [None] * workers
        self._busy: dict[Future[Errors], ProcessPoolExecutor] = {}
        self._said: dict[str, tuple[str, ...]] = {}
        self._started = False

    def is_free(self) -> bool:
        """Whether a process is free or can be made."""
        return bool(self._free)

    def submit(self, run: Run, program: Program) -> "Future[Errors]":
        """Starts a program in a process."""
        with _ctrl_c_ignored():  # the process inherits this: Ctrl-C is the parent's to handle
            slot = self._free.pop() or ProcessPoolExecutor(1, self._context, initializer=prepare, initargs=self._start)
            future = slot.submit(run, program)
        self._busy[future] = slot
        return future

    def ended(self, future: "Future[Errors]") -> bool:
        """Takes back a process; a dead one is replaced.

        Raises:
            RunError: not even one process could start.
        """
        slot, died = self._busy.pop(future), isinstance(future.exception(), BrokenProcessPool)
        self._free.append(None if died else slot)
        self.said()
        if died and not self._started:
            raise RunError(
                "No worker process could start: a script that calls osakd.compare or osakd.reproduce must do so under "
                '`if __name__ == "__main__":`.'
            )
        return died

    def said(self) -> dict[str, tuple[str, ...]]:
        """What programs have said at their start."""
        while not self._notes.empty():
            folder, sentences = self._notes.get()
            self._started = True
            self._said[folder] = tuple(sentences)
        return self._said

    def stop(self) -> None:
        """Asks every process to stop at its next step."""
        self._stop.value = 1

    def close(self) -> None:
        """Waits for the processes."""
        with _ctrl_c_ignored():
            for slot in [*self._busy.values(), *filter(None, self._free)]:
                slot.shutdown(wait=True, cancel_futures=True)


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
        # It would print tracebacks where the scheduler goes: the runner says so in a sentence.
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
        # What a worker runs is a run folder: the same call is never the same again.
        self._executor = self._client.get_executor(pure=False)
        self._futures: set[Future[Errors]] = set()

    def is_free(self) -> bool:
        """The scheduler keeps the queue."""
        return True

    def submit(self, run: Run, program: Program) -> "Future[Errors]":
        """Starts a program on a worker."""
        future = self._executor.submit(partial(on_cluster, run), program)
        self._futures.add(future)
        return future

    def ended(self, future: "Future[Errors]") -> bool:
        """The scheduler gives the program of a dead worker to another one, so this one has ended for good."""
        self._futures.discard(future)
        return False

    def said(self) -> dict[str, tuple[str, ...]]:
        """Nothing: results say what ran them."""
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
    """Python's tracker clears what a killed worker leaves behind; without this it says so on the user's terminal."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:multiprocessing.resource_tracker"
    resource_tracker.ensure_running()
    os.environ.pop("PYTHONWARNINGS")
    if before is not None:
        os.environ["PYTHONWARNINGS"] = before


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
