"""The tables and the figure of the paper, its claims and costs, and our studies: run, then shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from osakd.api.arguments import exit_unguarded, process_count, seed_list
from osakd.engine.executors.registry import AUTO, ExecutorName, KernelsName
from osakd.errors import InputError, needing
from osakd.experiments.reproduction import Reproduction
from osakd.paths import given_path

if TYPE_CHECKING:
    from osakd.runner.progress import OnProgress


@needing("train")
def reproduce(
    name: str,
    *,
    data: str | Sequence[str] | None = None,
    panels: str | Sequence[str] | None = None,
    methods: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    out: str | Path = "records",
    dry_run: bool = False,
    processes: int | None = None,
    device: str | None = None,
    executor: ExecutorName = AUTO,
    kernels: KernelsName = AUTO,
    on_progress: "OnProgress | None" = None,
) -> Reproduction:
    """Runs what is missing of a table or figure of the paper, and shows ours beside theirs.

    Args:
        name: experiment: table1, table2, table2-small, figure1, neighbours, readings, variants, cost or claims.
        data: only the panels of these data sets: names, or local folders called like them.
        panels: only these panels: their names, which are those of their folders.
        methods: only these methods: their labels.
        seeds: number of seeds, or a list of them; by default those of the experiment.
        epochs: epochs of each run; by default those of the experiment.
        out: folder of the records. A run lies in ``<out>/<name>/<panel>/<method>-seed<seed>``; finished runs are also
            packed, in ``<out>/<name>/<panel>.jsonl``, and not trained again.
        dry_run: only show what is recorded, and what is missing of the whole.
        processes: number of cores to use; by default all.
        device: device to compute on: cpu, cuda or cuda:N; by default cuda where there is one.
        executor: how the steps are computed, as for train.
        kernels: what computes small networks on a CPU, as for train.
        on_progress: called with the progress of every run four times a second.

    Returns:
        The tables. A run that fails is recorded with its error and stops no other; it is tried again the next time.

    Raises:
        InputError: an argument cannot be used.
        RunError: another runner is at work on one of the panels.
    """
    from osakd.experiments.catalogue import CLAIMS, COST, DECIDE_CLAIMS, find_experiment
    from osakd.experiments.reproduction import chosen_panels, show_claims, show_cost, show_experiment

    exit_unguarded()
    out = given_path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file: name the folder of the records with --out.")
    options = {"device": device, "executor": executor, "kernels": kernels}
    if name in (COST, CLAIMS):
        given = {"data": data, "panels": panels, "methods": methods, "seeds": seeds, "epochs": epochs}
        given |= {"processes": processes, **options}
        useless = [key for key, value in given.items() if value not in (None, AUTO)]
        if useless:
            raise InputError(f"`reproduce {name}` trains nothing: leave out {', '.join(useless)}.")
        if name == CLAIMS:
            return show_claims(DECIDE_CLAIMS, out)
        if not dry_run:
            from osakd.experiments.cost import measure

            measure(out)
        return show_cost(out)
    experiment = find_experiment(name)
    if epochs is not None and epochs < 1:
        raise InputError(f"`epochs` must be at least 1, got {epochs}.")
    seeds = None if seeds is None else seed_list(seeds)
    processes = process_count(processes)
    chosen = chosen_panels(experiment, _listed(data), _listed(panels), _listed(methods))
    failed = {}
    if not dry_run:
        from osakd.experiments.train import Training, train_missing

        options = {key: value for key, value in options.items() if value is not None}
        training = Training(seeds, epochs, processes, on_progress or (lambda _: None), options)
        failed = train_missing(experiment, chosen, out, training)
    return show_experiment(experiment, [panel for panel, _ in chosen], out, failed, draw=not dry_run)


def _listed(names: str | Sequence[str] | None) -> Sequence[str] | None:
    return [names] if isinstance(names, str) else names
