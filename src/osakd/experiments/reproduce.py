"""Runs what is missing of a column."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.data.recipes import recipe_for
from osakd.data.sources import load_data
from osakd.engine.config import Options
from osakd.plan import SMOOTHING, Column
from osakd.records import read_result
from osakd.runner.jobs import Job, with_absolute_paths
from osakd.runner.lock import lock_runner
from osakd.runner.planning import check_images, plan_run
from osakd.runner.run import run_jobs

if TYPE_CHECKING:
    from osakd.experiments.kinds import Asked


def run_column(column: Column, data: str, folder: Path, asked: "Asked") -> None:
    """Runs what is missing of a column; cells that earn another seed get it.

    Args:
        column: the column.
        data: where its images come from.
        folder: folder of the column.
        asked: seeds, epochs, and where to run.

    Raises:
        InputError: as ``plan_column``.
        RunError: another runner is at work on the column.
    """
    seeds = list(range(column.seeds)) if asked.seeds is None else asked.seeds
    jobs = plan_column(column, data, seeds, folder, epochs=asked.epochs, **asked.where)
    with lock_runner(folder, asked.on_progress) as call_and_note:

        def run(jobs: Sequence[Job]) -> None:
            ready = with_absolute_paths(jobs) if asked.scheduler else jobs
            run_jobs(
                ready,
                processes=asked.processes,
                on_progress=call_and_note,
                scheduler=asked.scheduler,
            )

        run(jobs)
        if column.again_within is not None and asked.seeds is None:
            chosen = promising(column, jobs, folder)
            more = plan_column(chosen, data, [column.seeds], folder, epochs=asked.epochs, **asked.where)
            if more:
                run(more)


def plan_column(
    column: Column, data: str, seeds: Sequence[int], folder: Path, *, epochs: int | None, **where: Any
) -> list[Job]:
    """The runs of a column, seed by seed.

    Args:
        column: the column.
        data: where its images come from.
        seeds: seeds of the runs.
        folder: folder of the column.
        epochs: epochs of each run; None for the column's.
        where: where to run: ``device``, ``executor``, ``kernels``.

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
        column: the column.
        jobs: its runs so far, one for each cell; cells without a result are left out.
        folder: folder of the column.
    """
    results = {job.label: read_result(folder / job.folder.name) for job in jobs}
    accuracies = {
        label: result.chosen_on_validation["validation_accuracy"]
        for label, result in results.items()
        if result is not None and result.chosen_on_validation is not None
    }
    least = max(accuracies.values(), default=0.0) - (column.again_within or 0.0)
    chosen = [cell for cell in column.cells if accuracies.get(cell.label, -1.0) >= least]
    labels = {label for cell in chosen for label in (cell.label, cell.baseline, SMOOTHING)} & set(accuracies)
    return replace(column, cells=tuple(cell for cell in column.cells if cell.label in labels))
