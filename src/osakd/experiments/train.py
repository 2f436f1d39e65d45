"""Trains what is missing of an experiment: what is neither packed nor in a run folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osakd.data.recipes import recipe_for
from osakd.engine.config import Options, as_today, can_continue
from osakd.engine.plan import DataSource, Plan, plan_runs
from osakd.errors import InputError, RunError
from osakd.plan import Experiment, Panel
from osakd.runner.lock import lock_runner
from osakd.runner.progress import OnProgress
from osakd.runner.run import run_plans
from osakd.runs import FinishedRun, RunRecord, finished, pack_runs, packed_file, read_runs


@dataclass(frozen=True)
class Training:
    """How the runs of an experiment are trained; None stands for what the experiment says.

    Attributes:
        options: ``device``, ``executor`` and ``kernels``, where they are given.
    """

    seeds: Sequence[int] | None
    epochs: int | None
    processes: int
    on_progress: OnProgress
    options: dict[str, Any]


def train_missing(
    experiment: Experiment, panels: Sequence[tuple[Panel, str]], out: Path, training: Training
) -> dict[str, str]:
    """Trains what is missing of panels, and says by their name why panels failed; the others are trained all the same.

    Each panel comes with where its images come from.

    Raises:
        InputError, RunError: no panel could be trained.
    """
    errors: dict[str, InputError | RunError] = {}
    for panel, data in panels:
        try:
            _train_panel(panel, data, out / experiment.folder_of(panel), training)
        except (InputError, RunError) as error:
            errors[panel.name] = error
    if len(errors) == len(panels):
        raise next(iter(errors.values()))
    return {name: str(error) for name, error in errors.items()}


def _train_panel(panel: Panel, data: str, folder: Path, training: Training) -> None:
    """Trains what is missing of a panel, then packs it."""
    seeds = range(panel.seeds) if training.seeds is None else training.seeds
    plans = _missing(panel, data, seeds, folder, training)
    with lock_runner(folder, training.on_progress) as call_and_note:
        try:
            if plans:
                run_plans(plans, processes=training.processes, on_progress=call_and_note)
        finally:
            pack_runs(packed_file(folder), finished(read_runs(folder)))


def _missing(panel: Panel, data: str, seeds: Sequence[int], folder: Path, training: Training) -> list[Plan]:
    """The runs of a panel that are not packed, seed by seed.

    Raises:
        InputError: a value out of its range, or a run of another configuration or of other images is recorded there.
        RunError: a line of the packed file is damaged.
    """
    if not panel.methods:
        return []
    recipe = vars(recipe_for(panel.data))  # by the panel's name: a local folder has none
    options = {key: recipe[key] for key in ("model", "batch_size", "learning_rate", "momentum", "scaling")}
    options |= {
        "recipe": "paper",
        "deploy": "last",
        "epochs": panel.epochs if training.epochs is None else training.epochs,
    }
    chosen = Options(**options | dict(panel.options) | training.options)
    methods = {method.label: method.method for method in panel.methods}
    changes = {method.label: method.options for method in panel.methods}
    plans = plan_runs(DataSource(data), methods, seeds, chosen, folder, changes=changes)
    content, path = plans[0].config.data["content"], packed_file(folder)
    packed = {run.folder.name: run for run in (read_runs(path) if path.exists() else [])}
    for run in packed.values():
        if run.damaged:
            raise RunError(str(run.error))
        if run.config is not None and run.config.data["content"] != content:
            raise InputError(
                f"{str(path)!r} has runs of other images (content {run.config.data['content'][:8]}, not "
                f"{content[:8]}): choose another folder with --out."
            )
    return [plan for plan in plans if not _is_packed(plan, packed.get(plan.folder.name))]


def _is_packed(plan: Plan, run: RunRecord | None) -> bool:
    """Whether a run is packed. One that is given more epochs is trained anew.

    Raises:
        InputError: the packed run has another configuration.
    """
    if not isinstance(run, FinishedRun):
        return False
    recorded = as_today(run.config)
    if recorded != plan.config and not can_continue(recorded, plan.config):
        raise InputError(
            f"{run.folder.name!r} is packed with another configuration "
            f"({'; '.join(recorded.differences(plan.config))}): choose another folder with --out."
        )
    return recorded == plan.config
