"""The runs of a column."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from osakd.data.recipes import recipe_for
from osakd.data.sources import load_data
from osakd.engine.config import Options
from osakd.plan import Column
from osakd.records import read_result
from osakd.runner.jobs import Job
from osakd.runner.planning import check_images, plan_run


def plan_column(
    column: Column, data: str, seeds: Sequence[int], folder: Path, *, epochs: int | None, **where: Any
) -> list[Job]:
    """The runs of a column, seed by seed.

    Args:
        column: which.
        data: where its images come from.
        seeds: of the runs.
        folder: of the column.
        epochs: of each run; None for the column's.
        where: to run: ``device``, ``executor``.

    Raises:
        InputError: as ``plan_run``, or runs of other images are recorded there.
    """
    arrays = load_data(data)
    recipe = vars(recipe_for(column.data))  # by the column's name: a local folder has none of its own
    given = {key: recipe[key] for key in ("model", "batch_size", "learning_rate", "momentum", "scaling")}
    given |= {"epochs": column.epochs if epochs is None else epochs}
    chosen = Options(**given | dict(column.options) | where)
    jobs = [
        plan_run(arrays, data, cell.label, cell.method, seed, replace(chosen, **cell.options), folder)
        for seed in seeds
        for cell in column.cells
    ]
    check_images(jobs, folder)
    return jobs


def promising(column: Column, jobs: Sequence[Job], folder: Path) -> Column:
    """The column's cells whose best validation accuracy is within ``again_within`` of the best cell's.

    Their baselines come along, and label smoothing: differences need both sides.

    Args:
        column: which.
        jobs: its runs so far, one for each cell; cells without a result are left out.
        folder: of the column.
    """
    results = {job.label: read_result(folder / job.folder.name) for job in jobs}
    accuracies = {
        label: result.chosen_on_validation["validation_accuracy"]
        for label, result in results.items()
        if result is not None and result.chosen_on_validation is not None
    }
    least = max(accuracies.values(), default=0.0) - (column.again_within or 0.0)
    chosen = [cell for cell in column.cells if accuracies.get(cell.label, -1.0) >= least]
    labels = {label for cell in chosen for label in (cell.label, cell.baseline, "label-smoothing")} & set(accuracies)
    return replace(column, cells=tuple(cell for cell in column.cells if cell.label in labels))
