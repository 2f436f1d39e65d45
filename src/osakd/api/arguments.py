"""What several functions take: seeds, and the cores to use."""

import multiprocessing
import os
import sys
from collections.abc import Iterable, Sequence

from osakd.errors import InputError


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
