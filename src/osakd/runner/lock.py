"""One runner at a time in a folder of many runs, and what it tells those who look from outside."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from osakd import records
from osakd.errors import InputError, RunError
from osakd.runner.progress import Look, Progress

HOLDER = ".runner.json"
SECONDS_BETWEEN_NOTES = 1.0
SECONDS_TO_WAIT = 1.0
"""Someone who only looks whether the folder is held holds it for a moment."""


@contextmanager
def holding(folder: Path, look: Look) -> Iterator[Look]:
    """Holds a folder of runs against other runners, and tells there what ``look`` is told.

    Args:
        folder: of the runs; made if missing.
        look: is given the state of every run.

    Yields:
        What the runner is to tell: it passes everything on to ``look``.

    Raises:
        RunError: another runner holds it, or the folder cannot be made.
    """
    with records.as_sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / records.LOCK)
        try:
            lock.acquire(timeout=SECONDS_TO_WAIT)
        except Timeout as error:
            raise RunError(
                f"{str(folder)!r} is being run already, by {_who(folder)}: wait for it (osakd status shows how far it "
                "is), stop it, or choose another folder with --out."
            ) from error
    me = {"process": os.getpid(), "host": socket.gethostname(), "since": datetime.now().strftime("%Y-%m-%d %H:%M")}
    told = 0.0

    def tell(states: list[Progress]) -> None:
        nonlocal told
        look(states)
        if time.monotonic() - told >= SECONDS_BETWEEN_NOTES:
            told = time.monotonic()
            with suppress(RunError, InputError):  # no run is to stop for want of room for a note
                records.write_json(folder / HOLDER, me | {"runs": {state.job.name: _state(state) for state in states}})

    try:
        records.write_json(folder / HOLDER, me | {"runs": {}})
        yield tell
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def holder(folder: Path) -> dict[str, Any] | None:
    """Who holds a folder: ``process``, ``host``, ``since``, ``runs`` by name, and whether that is ``sure``.

    None where nobody does. It is not sure where one may not try the lock, in a folder of somebody else's.
    """
    if not (folder / HOLDER).exists():
        return None
    lock, sure = FileLock(folder / records.LOCK), True
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pass
    except OSError:
        sure = False
    else:
        lock.release()
        return None  # its runner was killed
    found = _read(folder)
    return found and found | {"sure": sure}


def _read(folder: Path) -> dict[str, Any] | None:
    """What the holder tells; None where that cannot be read or is not whole."""
    try:
        found = json.loads((folder / HOLDER).read_bytes())
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and {"process", "host", "since", "runs"} <= set(found)
    return found if whole else None


def _who(folder: Path) -> str:
    found = _read(folder)
    return f"process {found['process']} on {found['host']}, since {found['since']}" if found else "another process"


def _state(state: Progress) -> dict[str, Any]:
    return {"running": state.running, "waiting": not (state.running or state.done), "left": state.left}
