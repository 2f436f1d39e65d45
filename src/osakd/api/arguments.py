"""What several functions take: seeds, the cores to use, and jobs for other machines."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from osakd.errors import InputError
from osakd.paths import given_path

if TYPE_CHECKING:
    from osakd.runner.jobs import Job


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


def everywhere(jobs: "Sequence[Job]") -> "list[Job]":
    """The jobs with absolute paths: a worker of a cluster may have been started in another folder."""
    return [
        replace(
            job,
            folder=job.folder.absolute(),
            data=str(given_path(job.data).absolute()) if given_path(job.data).is_dir() else job.data,
        )
        for job in jobs
    ]


def _at_least_one(option: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"`{option}` must be a whole number, got {value!r}.")
    if value < 1:
        raise InputError(f"`{option}` must be at least 1, got {value}.")
    return value


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
