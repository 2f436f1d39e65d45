# pyright: reportMissingImports=false
"""The workers of a dask.distributed cluster as a pool of ``osakd.runner``."""

import logging
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from osakd.errors import InputError, needing
from osakd.runner.pools import Pool
from osakd.runner.worker import Control, Errors, Group, run_group

SECONDS_TO_CONNECT = 10.0


class ClusterPool(Pool):
    """The workers of a dask.distributed cluster, each with one thread and the same folders as this machine.

    The address is the scheduler's, ``host:port``.

    Raises:
        InputError: distributed is not installed, no scheduler answers, or it has no workers or some of several threads.
    """

    def __init__(self, address: str) -> None:
        with needing("cluster"):
            from distributed import Client
        super().__init__(SimpleQueue())  # it stays empty: results say which executor was used
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

    def submit(self, group: Group) -> "Future[Errors]":
        """Sends a group to a worker."""
        future = self._executor.submit(run_on_worker, group)
        self._futures.add(future)
        return future

    def release(self, future: "Future[Errors]") -> bool:
        """False: the scheduler gives the group of a dead worker to another one."""
        self._futures.discard(future)
        return False

    def stop(self) -> None:
        """Cancels every group: its worker stops at its next step."""
        for future in self._futures:
            future.cancel()

    def close(self) -> None:
        """Leaves the cluster; its workers stay."""
        self._client.close()
        self._logger.disabled = False


def run_on_worker(group: Group) -> Errors:
    """Trains a group of runs on a worker of the cluster, with one thread.

    It stops when its task is cancelled, which also happens when the client is gone.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    task = worker.state.tasks[str(worker.get_current_task())]
    return run_group(group, Control(lambda: task.state == "cancelled"), threads=1)
