"""The experiments by name, their columns, and what is recorded of them. Nothing here imports torch."""

from collections.abc import Sequence
from pathlib import Path

from osakd.errors import InputError, unknown_name
from osakd.experiments.beyond import BEYOND
from osakd.experiments.figure1 import FIGURE1
from osakd.experiments.readings import READINGS
from osakd.experiments.spec import Column, Experiment
from osakd.experiments.table1 import TABLE1
from osakd.experiments.table2 import TABLE2
from osakd.records import read_result

COST, CLAIMS = "cost", "claims"
"""What has no runs of its own: the costs are counted, the claims are judged by the runs of the others."""
EXPERIMENTS = {experiment.name: experiment for experiment in (TABLE1, TABLE2, FIGURE1, READINGS, BEYOND)}


def find_experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        InputError: there is none.
    """
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, [*EXPERIMENTS, COST, CLAIMS])
    return EXPERIMENTS[name]


def columns_of(experiment: Experiment, data: Sequence[str] | None) -> list[tuple[Column, str]]:
    """The columns to show or run, each with where its images come from.

    Args:
        experiment: whose.
        data: names of data sets, or local folders called like them; None for all, by name.

    Raises:
        InputError: a name that the experiment does not have.
    """
    known = list(dict.fromkeys(column.data for column in experiment.columns))
    given = known if data is None else list(data)
    names = [Path(one).name for one in given]
    for name in names:
        if name not in known:
            raise unknown_name(f"data set of {experiment.name}", name, known)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"The data set {twice!r} is given twice.")
    where = dict(zip(names, given, strict=True))
    return [(column, where[column.data]) for column in experiment.columns if column.data in where]


def recorded(column: Column, folder: Path) -> list[tuple[str, Path]]:
    """Label and folder of each finished run of a column."""
    found = []
    for cell in column.cells:
        runs = sorted(folder.glob(f"{cell.label}-seed*"), key=lambda run: (len(run.name), run.name))
        found += [(cell.label, run) for run in runs if read_result(run) is not None]
    return found
