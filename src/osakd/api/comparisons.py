"""A comparison of methods over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.api.arguments import exit_unguarded, logged, process_count, seed_list
from osakd.api.reports import recorded_columns
from osakd.durable import write_json
from osakd.errors import RunError
from osakd.paths import given_path
from osakd.records import SUMMARY

if TYPE_CHECKING:
    from osakd.data.in_memory import Data
    from osakd.report.statistics.aggregate import Summary
    from osakd.runner.progress import OnProgress, Progress

DEFAULT_METHODS = ("plain", "osakd-8nn", "osakd-16nn", "label-smoothing")
DEFAULT_SEEDS = 5


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Attributes:
        folder: folder with the runs, ``report.html``, ``summary.json``, ``curves.svg`` and ``curves.png``.
        summary: all values, means, standard deviations, and paired differences to plain training.
    """

    folder: Path
    summary: "Summary"

    def table(self) -> str:
        """The table as Markdown."""
        from osakd.report.tables.accuracy import comparison_table
        from osakd.report.tables.table import markdown

        return markdown(comparison_table(self.summary))


class IncompleteError(RunError):
    """Some runs of a comparison failed; ``comparison`` has the others."""

    def __init__(self, message: str, comparison: Comparison) -> None:
        super().__init__(message)
        self.comparison = comparison


def compare(
    data: "Data" = "digits",
    *,
    methods: Sequence[str | Mapping[str, Any]] = DEFAULT_METHODS,
    seeds: int | Sequence[int] = DEFAULT_SEEDS,
    out: str | Path | None = None,
    processes: int | None = None,
    scheduler: str | None = None,
    on_progress: "OnProgress | None" = None,
    log: str | None = None,
    **options: Any,
) -> Comparison:
    """Compares methods over seeds; finished runs are not run again.

    Call it under ``if __name__ == "__main__":``, unless ``processes`` is 1: it starts processes.

    Args:
        data: as for ``train``.
        methods: methods, each as for ``train``.
        seeds: number of seeds (0, 1, ...), or a list of them.
        out: folder of the comparison; by default ``runs/<data>-<model>``.
        processes: number of cores to use, for threads of a fused program or for processes; by default all.
        scheduler: address of a dask.distributed scheduler (``host:port``), whose workers then train the runs: they need
            one thread each, this version of osakd, and the same folders; needs the extra ``cluster``.
        on_progress: called with the progress of every run four times a second.
        log: ``tensorboard`` writes the learning curve of each run as an event file into its folder too.
        **options: as for ``train``.

    Returns:
        The comparison. Its summary is also written to ``summary.json``, its report to ``report.html``, and its curves
        to ``curves.svg`` and ``curves.png``.

    Raises:
        InputError: an argument that cannot be used.
        IncompleteError: a run failed; the others have finished and are recorded.
        RunError: every run failed, or another process runs the same comparison.
    """
    from osakd.data.in_memory import given_data
    from osakd.engine.config import options_of, reading_of
    from osakd.engine.plan import DataSource, plan_runs
    from osakd.engine.stages import copy_teacher
    from osakd.runner.lock import lock_runner
    from osakd.runner.run import run_plans

    exit_unguarded()
    chosen, cores = options_of(options), process_count(processes)
    named = [methods] if isinstance(methods, str | Mapping) else list(methods)
    source = DataSource(given_data(data), reading_of(chosen))
    plans = plan_runs(source, named, seed_list(seeds), chosen, None if out is None else given_path(out))
    folder = plans[0].folder.parent
    for plan in plans:
        copy_teacher(plan)
    with logged(log) as logs:
        listeners = [*([on_progress] if on_progress else []), *(log.on_progress for log in logs)]

        def tell(states: "list[Progress]") -> None:
            for listener in listeners:
                listener(states)

        with lock_runner(folder, tell) as call_and_note:
            errors = run_plans(plans, processes=cores, on_progress=call_and_note, scheduler=scheduler)
    if len(errors) == len(plans):
        raise next(iter(errors.values()))
    comparison = _reported(folder, [plan.folder for plan in plans])
    if errors:
        failed, why = next(iter(errors.items()))
        raise IncompleteError(
            f"{len(errors)} of {len(plans)} runs failed, {failed.name} among them; the others are in "
            f"{str(folder / SUMMARY)!r}: {why}",
            comparison,
        )
    return comparison


def _reported(folder: Path, runs: Sequence[Path]) -> Comparison:
    """Writes summary, curves and report of a comparison."""
    from osakd.report.charts.curves import write_curves
    from osakd.report.layout import as_compared
    from osakd.report.statistics.aggregate import summarise
    from osakd.report.write import write_page

    columns = recorded_columns(folder)  # the records are read once
    recorded = {run.folder: run for column in columns for run in column.runs}
    places = [place.resolve() for place in runs]
    summary = summarise(folder.name, [recorded[place] for place in places if place in recorded])
    write_json(folder / SUMMARY, summary.to_dict())
    write_curves(summary, folder)
    labels = [method.label for method in summary.methods if method.predictor is None]
    write_page(folder.resolve().name, as_compared(columns, labels), folder)
    return Comparison(folder, summary)
