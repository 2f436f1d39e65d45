"""How far the runs of a comparison are, as the runner sees them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osakd.errors import InputError, RunError
from osakd.runner.jobs import Job


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
        left: seconds until it ends at the pace so far; None before two epochs show a pace.
    """

    job: Job
    rows: list[dict[str, Any]]
    running: bool
    done: bool
    error: InputError | RunError | None = None
    replicas: int = 1
    notes: tuple[str, ...] = ()
    left: float | None = None


Look = Callable[[list[Progress]], None]
"""What is given the state of every job and stage four times a second."""


class Paces:
    """The pace of every running job, by the clock."""

    def __init__(self) -> None:
        self._first: dict[Path, tuple[int, float | None]] = {}

    def left(self, job: Job, epochs: int) -> float | None:
        """Seconds left of a job that has so many epochs now; None before two epochs of this start show a pace."""
        now = time.monotonic()
        at, since = self._first.setdefault(job.folder, (epochs, None))
        if since is None:
            if epochs > at:  # the first epoch of this start is not whole, or has the start-up in it
                self._first[job.folder] = (epochs, now)
            return None
        return (job.config.epochs - epochs) * (now - since) / (epochs - at) if epochs > at else None

    def forget(self, job: Job) -> None:
        """After a job has stopped: its next start has a pace of its own."""
        self._first.pop(job.folder, None)


def waiting(job: Job) -> Progress:
    """The state of a job that has not started."""
    return Progress(job, [], running=False, done=False)
