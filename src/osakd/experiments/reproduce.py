"""What is recorded of an experiment, and the runs that are missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osakd.engine.config import Options
from osakd.errors import InputError, unknown_name
from osakd.experiments.compare import plan_comparison
from osakd.experiments.runner import Job
from osakd.experiments.spec import Column, Experiment
from osakd.experiments.table1 import TABLE1
from osakd.records import read_result

EXPERIMENTS = {experiment.name: experiment for experiment in (TABLE1,)}


def find_experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        InputError: there is none.
    """
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def columns_of(experiment: Experiment, data: Sequence[str] | None) -> list[tuple[Column, str]]:
    """The columns to show or run, each with where its images come from.

    Args:
        experiment: whose.
        data: names of data sets, or local folders called like them; None for all, by name.

    Raises:
        InputError: a name that the experiment does not have.
    """
    known = {column.data: column for column in experiment.columns}
    given = list(known) if data is None else list(data)
    names = [Path(one).name for one in given]
    for name in names:
        if name not in known:
            raise unknown_name(f"data set of {experiment.name}", name, known)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"The data set {twice!r} is given twice.")
    return [(known[name], one) for name, one in zip(names, given, strict=True)]


def recorded(column: Column, folder: Path) -> list[tuple[str, Path]]:
    """Label and folder of each finished run of a column."""
    found = []
    for label in column.methods:
        runs = sorted(folder.glob(f"{label}-seed*"), key=lambda run: (len(run.name), run.name))
        found += [(label, run) for run in runs if read_result(run) is not None]
    return found


def plan_column(
    column: Column, data: str, seeds: Sequence[int], folder: Path, *, epochs: int | None, **options: Any
) -> list[Job]:
    """The runs of a column.

    Args:
        column: which.
        data: where its images come from.
        seeds: of the runs.
        folder: of the column.
        epochs: of each run; None for the paper's.
        options: where to run: ``device``, ``executor``.
    """
    chosen = Options(epochs=epochs or column.epochs, **column.options, **options)
    return plan_comparison(data, column.methods, seeds, chosen, folder)[1]
