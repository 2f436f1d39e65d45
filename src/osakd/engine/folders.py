"""Whether a run may be started or go on in a folder, and keeping other processes out of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from osakd import records
from osakd.engine.config import can_continue
from osakd.errors import InputError, RunError
from osakd.records import Result, RunConfig

SECONDS_TO_WAIT_FOR_A_LOCK = 5.0  # a worker whose parent was killed needs a moment to notice


def check_folder(folder: Path, config: RunConfig, resume: bool) -> Result | None:
    """The result where this run has finished; None where it may be started or go on.

    Raises:
        InputError: the folder holds something else, another configuration, or this run and ``resume`` is False.
    """
    found = records.read_config(folder)
    if found is None:
        if not records.is_free(folder):
            raise InputError(f"{str(folder)!r} is not empty and holds no run: choose another folder.")
        return None
    if not can_continue(found, config):
        why = "; ".join(found.differences(config))
        more = " (more epochs continue only a constant schedule)" if found.schedule != "constant" else ""
        raise InputError(
            f"{str(folder)!r} holds a run of another configuration ({why}){more}: choose another folder with --out."
        )
    if not resume:
        raise InputError(f"{str(folder)!r} holds this run already: go on with --resume, or choose another --out.")
    result = records.read_result(folder)
    if result is not None and found != config and not (folder / records.CHECKPOINT).exists():
        raise InputError(f"{str(folder)!r} has no checkpoint to go on from: choose another folder with --out.")
    return result if found == config else None


def clear_left_overs(folder: Path) -> None:
    """Removes the temporary files of writers that were killed; the folder must be locked."""
    for path in folder.glob(f".*{records.LEFT_OVER}"):
        path.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a run folder; a process that ends, however it ends, lets go of it.

    Raises:
        RunError: another process is in it, or the folder cannot be made.
    """
    with records.as_sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / records.LOCK)
        try:
            lock.acquire(timeout=SECONDS_TO_WAIT_FOR_A_LOCK)
        except Timeout as error:
            raise RunError(
                f"Another process is training in {str(folder)!r}: wait for it, or choose another folder with --out."
            ) from error
    try:
        yield
    finally:
        lock.release()
