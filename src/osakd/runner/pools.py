"""Pools of workers: processes of this machine, or a thread of this process; a leaf may offer others.

All use ``concurrent.futures`` executors. A worker that dies loses what its group did since the last checkpoint: the
runner submits the group again.
"""

import errno
import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from queue import SimpleQueue

from osakd.errors import STOPPING, RunError
from osakd.runner.worker import Control, Errors, Group, Notes, initialise_process, run_group, run_in_process


class Pool(ABC):
    """Trains groups of runs."""

    def __init__(self, queue: Notes) -> None:
        self._queue: Notes = queue
        self._notes: dict[str, tuple[str, ...]] = {}

    @abstractmethod
    def is_free(self) -> bool:
        """Whether another group can be submitted."""

    @abstractmethod
    def submit(self, group: Group) -> "Future[Errors]":
        """Starts a group."""

    @abstractmethod
    def release(self, future: "Future[Errors]") -> bool:
        """Frees the worker of a group that has ended; True if it died, so that the group must start again."""

    @abstractmethod
    def stop(self) -> None:
        """Stops every group; what they did is recorded."""

    @abstractmethod
    def close(self) -> None:
        """Waits until all have stopped."""

    def notes(self) -> dict[str, tuple[str, ...]]:
        """The notes of groups from their start, by the folder of their first run."""
        while not self._queue.empty():
            folder, sentences = self._queue.get()
            self._notes[folder] = tuple(sentences)
        return self._notes


class LocalPool(Pool):
    """Processes of this machine, at most ``workers``, each with its own executor: one that dies stops no other."""

    def __init__(self, workers: int, threads: int) -> None:
        if os.name == "posix":
            with _stopped_by_parent():
                _start_quiet_tracker()
        self._context = multiprocessing.get_context("spawn")
        # Without a lock, which a process that is killed while it reads would keep.
        self._stop = self._context.RawValue("b", 0)
        with _shared_memory():
            super().__init__(self._context.SimpleQueue())
        self._start, self._threads = (self._stop, self._queue, os.getpid()), threads
        self._free: list[ProcessPoolExecutor | None] = [None] * workers
        self._busy: dict[Future[Errors], ProcessPoolExecutor] = {}

    def is_free(self) -> bool:
        """Whether a process is free or can be started."""
        return bool(self._free)

    def submit(self, group: Group) -> "Future[Errors]":
        """Starts a group in a process."""
        with _stopped_by_parent(), _shared_memory():
            process = self._free.pop() or ProcessPoolExecutor(
                1, self._context, initializer=initialise_process, initargs=self._start
            )
            future = process.submit(run_in_process, group, self._threads)
        self._busy[future] = process
        return future

    def release(self, future: "Future[Errors]") -> bool:
        """Frees a process; a dead one is replaced, or a RunError says that not even one could start."""
        process, died = self._busy.pop(future), isinstance(future.exception(), BrokenProcessPool)
        self._free.append(None if died else process)
        if died and not self.notes():  # a process that starts puts an empty note
            raise RunError(
                "No worker process could start: a script that calls osakd.compare or osakd.reproduce must do so under "
                '`if __name__ == "__main__":`.'
            )
        return died

    def stop(self) -> None:
        """Asks every process to stop at its next step."""
        self._stop.value = 1

    def close(self) -> None:
        """Waits for the processes."""
        for slot in [*self._busy.values(), *filter(None, self._free)]:
            slot.shutdown(wait=True, cancel_futures=True)


class InProcessPool(Pool):
    """A thread of this process, for a group at a time; it needs no other process, and nothing isolates it from ours."""

    def __init__(self, threads: int) -> None:
        super().__init__(SimpleQueue())
        self._threads, self._executor, self._stop = threads, ThreadPoolExecutor(1), threading.Event()
        self._busy = False

    def is_free(self) -> bool:
        """Whether no group is being trained."""
        return not self._busy

    def submit(self, group: Group) -> "Future[Errors]":
        """Starts a group in the thread."""
        self._busy = True
        return self._executor.submit(run_group, group, Control(self._stop.is_set, self._queue), self._threads)

    def release(self, future: "Future[Errors]") -> bool:  # noqa: ARG002 - a pool's interface
        """Frees the thread, which cannot die alone."""
        self._busy = False
        return False

    def stop(self) -> None:
        """Asks the group to stop at its next step."""
        self._stop.set()

    def close(self) -> None:
        """Waits for the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)


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
def _stopped_by_parent() -> Iterator[None]:
    """A process that starts here gets no signal to stop, which a terminal or a scheduler sends to all: we stop it."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # it inherits this; what comes meanwhile is not lost
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
