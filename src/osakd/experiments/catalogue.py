"""The experiments by name, their columns, and what is recorded of them. Nothing here imports torch."""

from collections.abc import Sequence
from pathlib import Path

from osakd.errors import InputError, RunError, unknown_name
from osakd.experiments.beyond import BEYOND
from osakd.experiments.figure1 import FIGURE1
from osakd.experiments.readings import READINGS
from osakd.experiments.table1 import TABLE1
from osakd.experiments.table2 import TABLE2
from osakd.plan import Column, Experiment
from osakd.records import RESULT, read_config, read_error, read_metrics, read_result

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


def columns_of(experiment: Experiment, data: str | Sequence[str] | None) -> list[tuple[Column, str]]:
    """The columns to show or run, each with where its images come from.

    Args:
        experiment: whose.
        data: names of data sets, or one of them, or local folders called like them; None for all, by name.

    Raises:
        InputError: a name that the experiment does not have.
    """
    known = list(dict.fromkeys(column.data for column in experiment.columns))
    given = known if data is None else [data] if isinstance(data, str) else list(data)
    if not given:
        raise InputError(f"Name at least one data set of {experiment.name}, or leave `data` out.")
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
    """Label and folder of each finished run of a column; damaged ones are left out."""
    return [(label, run) for label, run in _runs(column, folder) if _damage(run) is None and read_result(run)]


def wrong(column: Column, folder: Path) -> dict[str, str]:
    """Why runs of a column have no result to show: they failed the last time, or their records are damaged."""
    found = {run.name: _damage(run) or read_error(run) for _, run in _runs(column, folder)}
    return {name: why for name, why in found.items() if why is not None}


def _runs(column: Column, folder: Path) -> list[tuple[str, Path]]:
    found = []
    for cell in column.cells:
        runs = sorted(folder.glob(f"{cell.label}-seed*"), key=lambda run: (len(run.name), run.name))
        found += [(cell.label, run) for run in runs]
    return found


def _damage(run: Path) -> str | None:
    """Why a run cannot be read; None where it can."""
    try:
        if read_config(run) is None and (run / RESULT).exists():
            return f"{str(run)!r} has no config.json: move the run folder away and run again."
        if read_result(run) is not None:
            read_metrics(run)
        read_error(run)
    except (InputError, RunError) as error:
        return str(error)
    return None
