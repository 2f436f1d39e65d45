"""What several functions take: seeds, and the cores to use."""

import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from osakd.errors import InputError, unknown_name

if TYPE_CHECKING:
    from osakd.runner.tensorboard import TensorBoard


def seed_list(seeds: int | Sequence[int]) -> list[int]:
    """The seeds that a number or a list stands for.

    Raises:
        InputError: none, or not whole numbers.
    """
    if not isinstance(seeds, Iterable):
        return list(range(_at_least_one("seeds", seeds)))
    numbers = list(seeds)
    _at_least_one("seeds", len(numbers))
    return numbers


def process_count(processes: int | None) -> int:
    """The cores to use, all of them where nothing is said.

    Raises:
        InputError: not a whole number, or below 1.
    """
    return _cores() if processes is None else _at_least_one("processes", processes)


@contextmanager
def logged(log: str | None, folder: Path | None = None) -> "Iterator[list[TensorBoard]]":
    """The logs that are asked for: none, or the one for TensorBoard.

    Args:
        log: ``tensorboard`` or None.
        folder: the run's folder, where there is one run.

    Raises:
        InputError: another log, or its library is not installed.
    """
    if log is None:
        yield []
        return
    if log != "tensorboard":
        raise unknown_name("log", log, ["tensorboard"])
    from osakd.runner.tensorboard import TensorBoard

    with TensorBoard(folder) as one:
        yield [one]


def exit_unguarded() -> None:
    """Ends a worker process that is just importing an unguarded script: the parent says what is wrong with it."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(1)


def _at_least_one(option: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"`{option}` must be a whole number, got {value!r}.")
    if value < 1:
        raise InputError(f"`{option}` must be at least 1, got {value}.")
    return value


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
