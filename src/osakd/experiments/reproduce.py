"""Runs what is missing of a column."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.data.recipes import recipe_for
from osakd.engine.config import Options
from osakd.engine.plan import DataSource, Plan, plan_runs
from osakd.plan import SMOOTHING, Column
from osakd.records import read_result
from osakd.runner.lock import lock_runner
from osakd.runner.run import run_plans

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
    plans = plan_column(column, data, seeds, folder, epochs=asked.epochs, **asked.where)
    with lock_runner(folder, asked.on_progress) as call_and_note:

        def run(plans: Sequence[Plan]) -> None:
            run_plans(plans, processes=asked.processes, on_progress=call_and_note, scheduler=asked.scheduler)

        run(plans)
        if column.again_within is not None and asked.seeds is None:
            chosen = promising(column, plans, folder)
            if chosen.cells:
                run(plan_column(chosen, data, [column.seeds], folder, epochs=asked.epochs, **asked.where))


def plan_column(
    column: Column, data: str, seeds: Sequence[int], folder: Path, *, epochs: int | None, **where: Any
) -> list[Plan]:
    """The runs of a column, seed by seed.

    Args:
        column: the column.
        data: where its images come from.
        seeds: seeds of the runs.
        folder: folder of the column.
        epochs: epochs of each run; None for the column's.
        where: where to run: ``device``, ``executor``, ``kernels``.

    Raises:
        InputError: as ``plan_runs``.
    """
    recipe = vars(recipe_for(column.data))  # by the column's name: a local folder has none of its own
    given = {key: recipe[key] for key in ("model", "batch_size", "learning_rate", "momentum", "scaling")}
    given |= {"epochs": column.epochs if epochs is None else epochs}
    chosen = Options(**given | dict(column.options) | where)
    methods, changes = ({cell.label: getattr(cell, key) for cell in column.cells} for key in ("method", "options"))
    return plan_runs(DataSource(data), methods, seeds, chosen, folder, changes=changes)


def promising(column: Column, plans: Sequence[Plan], folder: Path) -> Column:
    """The column's cells whose best validation accuracy is within ``again_within`` of the best cell's.

    Their baselines come along, and label smoothing: differences need both sides.

    Args:
        column: the column.
        plans: its runs so far, one for each cell; cells without a result are left out.
        folder: folder of the column.
    """
    results = {plan.label: read_result(folder / plan.folder.name) for plan in plans}
    accuracies = {
        label: result.chosen_on_validation["validation_accuracy"]
        for label, result in results.items()
        if result is not None and result.chosen_on_validation is not None
    }
    least = max(accuracies.values(), default=0.0) - (column.again_within or 0.0)
    chosen = [cell for cell in column.cells if accuracies.get(cell.label, -1.0) >= least]
    labels = {label for cell in chosen for label in (cell.label, cell.baseline, SMOOTHING)} & set(accuracies)
    return replace(column, cells=tuple(cell for cell in column.cells if cell.label in labels))
