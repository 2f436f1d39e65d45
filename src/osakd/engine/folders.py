"""Run folders: whether a run may start or continue in one, and locks that keep other processes out."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from osakd import records
from osakd.durable import LEFT_OVER, make_folder
from osakd.engine.config import can_continue, recorded_config
from osakd.errors import InputError, RunError, as_sentences
from osakd.records import Result, RunConfig

SECONDS_TO_WAIT_FOR_A_LOCK = 5.0  # a worker whose parent was killed needs a moment to notice it


def check_folder(folder: Path, config: RunConfig, resume: bool) -> Result | None:
    """The result if this run has finished; None if it may start or continue.

    Raises:
        InputError: the folder has other content or another configuration, or has this run and ``resume`` is False.
    """
    if folder.name == records.TEACHER and folder.is_symlink():
        raise InputError(f"{str(folder)!r} is a link to another folder: put the teacher's own folder there.")
    recorded = check_configuration(folder, config)
    if recorded is None:
        if not records.is_free(folder):
            raise InputError(f"{str(folder)!r} is not empty and is not a run folder: choose another folder.")
        return None
    if not resume:
        raise InputError(f"{str(folder)!r} already has this run: continue it with --resume, or choose another --out.")
    result = records.read_result(folder)
    if result is not None and recorded != config and not records.has_checkpoint(folder):
        raise InputError(f"{str(folder)!r} has no checkpoint to continue from: choose another folder with --out.")
    return result if recorded == config else None


def check_configuration(folder: Path, config: RunConfig) -> RunConfig | None:
    """The configuration of the run in a folder, its data by their present name, or None without one.

    Raises:
        InputError: this configuration may not continue it.
    """
    recorded = recorded_config(folder)
    if recorded is not None and recorded.data["content"] == config.data["content"]:  # its folder may have moved
        recorded = replace(recorded, data=recorded.data | {key: config.data[key] for key in ("name", "kind")})
    if recorded is not None and not can_continue(recorded, config):
        why = "; ".join(recorded.differences(config))
        more = " (more epochs continue only a constant schedule)" if recorded.schedule != "constant" else ""
        raise InputError(
            f"{str(folder)!r} has a run of another configuration ({why}){more}: choose another folder with --out."
        )
    return recorded


def clear_left_overs(folder: Path) -> None:
    """Removes the temporary files of killed processes; the folder must be locked."""
    for path in folder.glob(f".*{LEFT_OVER}"):
        path.unlink()


def lock_run(folder: Path) -> AbstractContextManager[None]:
    """Locks a run folder, see ``lock_folder``."""
    refusal = f"Another process is training in {str(folder)!r}: wait for it, or choose another folder with --out."
    return lock_folder(folder, SECONDS_TO_WAIT_FOR_A_LOCK, lambda: refusal)


@contextmanager
def lock_folder(folder: Path, seconds: float, refusal: Callable[[], str]) -> Iterator[None]:
    """Keeps other processes out of a folder, which is made if missing. The lock of a process that dies is free.

    Raises:
        RunError: another process kept the lock for so many seconds, or the folder cannot be made.
    """
    make_folder(folder)
    with as_sentences(folder):
        try:
            lock = acquire(folder, seconds)
        except Timeout as error:
            raise RunError(refusal()) from error
    try:
        yield
    finally:
        lock.release()


def acquire(folder: Path, seconds: float) -> FileLock:
    """The lock of a folder, acquired, or a ``Timeout``."""
    lock = FileLock(folder / records.LOCK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that without flock, a file that is there is the lock
        lock.acquire(timeout=seconds)
    return lock
