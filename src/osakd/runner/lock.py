"""The lock that admits one runner at a time to a folder of many runs, and the note that the runner leaves there."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from filelock import Timeout

from osakd.durable import write_json
from osakd.engine.folders import acquire, lock_folder
from osakd.errors import InputError, RunError
from osakd.read_json import build, read_json
from osakd.runner.progress import OnProgress, Progress

NOTE = ".runner.json"
SECONDS_BETWEEN_NOTES = 1.0
SECONDS_TO_WAIT = 1.0
"""A process that only looks whether the folder is locked has the lock for a moment."""


@dataclass(frozen=True)
class RunNote:
    """How far a run is: in training, not started, neither; and the estimated seconds until it ends, where known."""

    running: bool
    waiting: bool
    seconds_left: float | None


@dataclass(frozen=True)
class RunnerNote:
    """Who trains the runs in a folder.

    Attributes:
        certain: the runner is known to be alive; else the lock could not be tried.
    """

    process: int
    host: str
    since: str
    runs: dict[str, RunNote]
    certain: bool = True


@contextmanager
def lock_runner(folder: Path, on_progress: OnProgress) -> Iterator[OnProgress]:
    """Keeps other runners out of a folder, and notes there how far the runs are: yields what replaces ``on_progress``.

    Raises:
        RunError: another runner has the lock, or the folder cannot be made.
    """

    def refusal() -> str:
        note = _read(folder)
        who = f"process {note.process} on {note.host}, since {note.since}" if note else "another process"
        return (
            f"{str(folder)!r} is in use by {who}: wait for it (osakd status shows how far it is), stop it, or choose "
            "another folder with --out."
        )

    since = datetime.now().strftime("%Y-%m-%d %H:%M")
    me = RunnerNote(os.getpid(), socket.gethostname(), since, {})
    noted = 0.0

    def call_and_note(states: list[Progress]) -> None:
        nonlocal noted
        on_progress(states)
        if time.monotonic() - noted >= SECONDS_BETWEEN_NOTES:
            noted = time.monotonic()
            with suppress(RunError, InputError):  # a full disk must not stop runs: the note can wait
                runs = {
                    state.plan.name: RunNote(state.running, not (state.running or state.done), state.seconds_left)
                    for state in states
                }
                write_json(folder / NOTE, asdict(replace(me, runs=runs)))

    with lock_folder(folder, SECONDS_TO_WAIT, refusal):
        try:
            write_json(folder / NOTE, asdict(me))
            yield call_and_note
        finally:
            (folder / NOTE).unlink(missing_ok=True)


def current_runner(folder: Path) -> RunnerNote | None:
    """The runner at work in a folder; None where there is none.

    It is not certain in a folder of another user, whose lock may not be tried.
    """
    if not (folder / NOTE).exists():
        return None
    certain = True
    try:
        acquire(folder, 0).release()
        return None  # its runner was killed
    except Timeout:
        pass
    except OSError:
        certain = False
    note = _read(folder)
    return note and replace(note, certain=certain)


def _read(folder: Path) -> RunnerNote | None:
    """The runner's note; None where it cannot be read or is incomplete."""
    try:
        note = read_json(folder / NOTE) or {}
        return build(RunnerNote, note | {"runs": {name: build(RunNote, run) for name, run in note["runs"].items()}})
    except (RunError, ValueError, TypeError, KeyError, AttributeError):
        return None
