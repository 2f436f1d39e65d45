"""A worker: it trains a group of runs, tells the notes of their start, and stops when it is asked to."""

import os
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue as ProcessQueue
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from osakd.engine.callbacks import Callback
from osakd.errors import InputError, RunError
from osakd.records import RunConfig

if TYPE_CHECKING:
    from osakd.engine.plan import Plan

Group = Sequence["Plan"]
"""Runs that are trained together, or a single run."""
Errors = dict[Path, InputError | RunError]
"""The errors of runs that failed, by their folders."""
Note = tuple[str, list[str]]
"""Sentences about a group, with the folder of its first run; a new process has an empty folder."""
Notes = ProcessQueue[Note] | SimpleQueue[Note]


class Control(NamedTuple):
    """How a worker is told to stop, and where its notes go.

    Attributes:
        asked_to_stop: whether it has been asked to stop.
        notes: queue of notes; None where nobody reads them.
    """

    asked_to_stop: Callable[[], bool]
    notes: Notes | None = None


class StopRequestError(Exception):
    """The worker was asked to stop."""


class _StopAtRequest(Callback):
    """The callback of a group: it passes on the notes, and stops the runs when the worker is asked to."""

    def __init__(self, group: Group, control: Control) -> None:
        self.folder, self.control = str(group[0].folder), control

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:  # noqa: ARG002 - the callback's interface
        """Passes on the notes, which are not in the records."""
        if self.control.notes is not None:
            self.control.notes.put((self.folder, list(notes)))

    def on_step_begin(self, epoch: int, step: int) -> None:  # noqa: ARG002 - the callback's interface
        """Stops the runs."""
        if self.control.asked_to_stop():
            raise StopRequestError


def run_group(group: Group, control: Control, threads: int) -> Errors:
    """Trains a group of runs in this process; the errors of those that failed.

    Args:
        group: the runs.
        control: how the worker is told to stop.
        threads: number of threads to compute with.
    """
    import torch

    from osakd.engine.train import run, run_together

    if control.asked_to_stop():
        raise StopRequestError
    torch.set_num_threads(threads)
    callback = _StopAtRequest(group, control)
    if len(group) > 1:
        return dict(run_together(group, callback))
    run(group[0], callback)
    return {}


_control: Control | None = None
"""The control of a process of a pool: what processes share can be inherited alone, not sent with a group."""


def initialise_process(stop: Any, notes: Notes, parent: int) -> None:
    """Prepares a process of a pool on this machine."""
    from osakd.engine.allocator import keep_freed_memory

    def asked_to_stop() -> bool:
        if os.getppid() != parent:
            os._exit(1)  # no parent is left to report to
        return bool(stop.value)

    global _control
    _control = Control(asked_to_stop, notes)
    keep_freed_memory()
    notes.put(("", []))


def run_in_process(group: Group, threads: int) -> Errors:
    """Trains a group of runs in a process that ``initialise_process`` prepared."""
    assert _control is not None  # noqa: S101 - the pool's initialiser
    return run_group(group, _control, threads)
