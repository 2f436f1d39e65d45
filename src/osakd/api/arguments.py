"""What several functions take: seeds, the cores to use, the data of a run."""

import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.checks import whole
from osakd.errors import InputError, unknown_name

if TYPE_CHECKING:
    from osakd.data.in_memory import Data
    from osakd.runner.tensorboard import TensorBoard


def seed_list(seeds: int | Sequence[int]) -> list[int]:
    """The seeds that a number or a list stands for.

    Raises:
        InputError: none, or not whole numbers.
    """
    if not isinstance(seeds, Iterable):
        return list(range(whole("seeds", seeds, least=1)))
    numbers = list(seeds)
    whole("seeds", len(numbers), least=1)
    return numbers


def check_early(data: "Data", methods: Iterable[str | Mapping[str, Any]]) -> None:
    """Refuses names of data and methods that do not exist, before PyTorch is imported, which takes seconds."""
    from osakd.data.find import find_data
    from osakd.methods.lookup import given_method

    if isinstance(data, str):
        find_data(data)
    for method in methods:
        given_method(method)


def process_count(processes: int | None) -> int:
    """The cores to use; None stands for all that this process may use.

    Raises:
        InputError: not a whole number, or below 1.
    """
    if processes is not None:
        return whole("processes", processes, least=1)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def data_or_recorded(data: "Data | None", name: str, kind: str, *, split: str) -> str:
    """The user's data as ``load_data`` takes them; by default those that a run recorded, by name and kind.

    Images in memory are the split of that name.

    Raises:
        InputError: no data, and the recorded ones were a local folder.
    """
    from osakd.data.in_memory import given_data

    if data is not None:
        return given_data(data, split=split)
    if kind == "folder":
        raise InputError(f"The run was trained on a local folder called {name!r}: name it with --data.")
    return name


@contextmanager
def logged(log: str | None, folder: Path | None = None) -> "Iterator[list[TensorBoard]]":
    """The logs that are asked for: none, or the one for TensorBoard, for many runs or for that in the folder.

    Raises:
        InputError: another log, or its library is not installed.
    """
    if log is None:
        yield []
        return
    if log != "tensorboard":
        raise unknown_name("log", log, ["tensorboard"])
    from osakd.runner.tensorboard import TensorBoard

    with TensorBoard(folder) as log_of_runs:
        yield [log_of_runs]


def exit_unguarded() -> None:
    """Ends a worker process that is just importing an unguarded script: the parent says what is wrong with it."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(1)
