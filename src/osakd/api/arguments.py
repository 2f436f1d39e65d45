"""What several functions take: seeds, the cores to use, the data of a run."""

import logging
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.checks import whole
from osakd.errors import InputError, unknown_name

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays
    from osakd.data.in_memory import Data
    from osakd.records import DataOrigin
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


def images_for(
    data: "Data | None", trained_on: "DataOrigin", *, test_only: bool = False, **changes: Any
) -> "DataArrays":
    """The user's data, read as those that a run was trained on, or differently; by default the latter themselves.

    A local folder is found where images of its content were last read. Images in memory are a training split, or with
    ``test_only`` a test split, which is then all that is needed.

    Raises:
        InputError: no data, and the recorded ones are in no folder that is known; or data that cannot be read.
    """
    from osakd.data.find import remembered
    from osakd.data.in_memory import given_data
    from osakd.data.options import recorded_options
    from osakd.data.sources import load_data, load_test

    content, name = trained_on["content"], trained_on["name"]
    changes = {option: value for option, value in changes.items() if value is not None}
    options = replace(recorded_options(trained_on), **changes)
    if data is None and trained_on["kind"] == "folder":
        folder, as_before = remembered(content) or ("", options)
        arrays = None
        with suppress(InputError, OSError):  # it may be gone
            arrays = load_data(folder, as_before)
        if arrays is None or arrays.content != content:
            raise InputError(f"The run was trained on a local folder called {name!r}: name it with --data.")
        logging.getLogger("osakd").info("Taking the images of the training, in %s", folder)
        if not changes:
            return arrays
        data, options = folder, replace(as_before, **changes)
    name = name if data is None else given_data(data, split="test" if test_only else "train")
    return load_test(name, options, trained_on=content) if test_only else load_data(name, options)


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
