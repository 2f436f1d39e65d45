"""A comparison of methods over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from osakd.api.arguments import check_early, exit_unguarded, logged, process_count, seed_list
from osakd.api.reports import read_panels
from osakd.api.signatures import takes_options
from osakd.durable import write_json
from osakd.errors import RunError, needing
from osakd.paths import given_path
from osakd.records import SUMMARY

if TYPE_CHECKING:
    from osakd.data.in_memory import Data
    from osakd.report.statistics.panel import RecordedPanel
    from osakd.runner.progress import OnProgress, Progress

DEFAULT_METHODS = ("plain", "osakd", "osakd-16nn", "label-smoothing")
DEFAULT_SEEDS = 5


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Attributes:
        folder: folder with the runs, ``report.html`` and ``summary.json``.
        panel: its finished runs and their scores.
    """

    folder: Path
    panel: "RecordedPanel"

    @property
    def summary(self) -> dict[str, Any]:
        """All values, means, standard deviations, and paired differences to plain training."""
        from osakd.report.statistics.summary import summarise

        return summarise(self.panel)

    def table(self) -> str:
        """The table as Markdown."""
        from osakd.report.tables.results import comparison_table
        from osakd.report.tables.table import markdown

        return markdown(comparison_table(self.panel))


class IncompleteError(RunError):
    """Some runs of a comparison failed; ``comparison`` has the others."""

    def __init__(self, message: str, comparison: Comparison) -> None:
        super().__init__(message)
        self.comparison = comparison


@needing("train")
@takes_options
def compare(
    data: "Data" = "digits",
    *,
    methods: Sequence[str | Mapping[str, Any]] = DEFAULT_METHODS,
    seeds: int | Sequence[int] = DEFAULT_SEEDS,
    out: str | Path | None = None,
    processes: int | None = None,
    on_progress: "OnProgress | None" = None,
    log: Literal["tensorboard"] | None = None,
    **options: Any,
) -> Comparison:
    """Compares methods over seeds; finished runs are not run again.

    Call it under ``if __name__ == "__main__":``, unless ``processes`` is 1: it starts processes.

    Args:
        data: data set: a name (osakd list), a folder, or a hub id. From Python also images, as for ``train``.
        methods: names, shorthands such as osakd-16nn, or mappings such as '{name: osakd, k: 4}'.
        seeds: number of seeds, or a list of them such as [3, 4].
        out: folder of the comparison; by default runs/DATA-MODEL.
        processes: number of cores to use, for processes or for threads that share a program; by default all.
        on_progress: called with the progress of every run four times a second.
        log: also write learning curves for TensorBoard into the run folders. Needs the extra
            ``tensorboard``.
        **options: the fields of ``osakd.engine.config.Options``.

    Returns:
        The comparison. Its summary is also written to ``summary.json``, its report to ``report.html``; tables and
        figures for a paper are written by ``write_report``.

    Raises:
        InputError: an argument that cannot be used.
        IncompleteError: a run failed; the others have finished and are recorded.
        RunError: every run failed, or another process runs the same comparison.
    """
    from osakd.engine.config import image_options_of, options_of

    exit_unguarded()
    chosen, cores = options_of(options), process_count(processes)
    named = [methods] if isinstance(methods, str | Mapping) else list(methods)
    check_early(data, named)
    from osakd.data.in_memory import given_data
    from osakd.engine.plan import DataSource, plan_runs
    from osakd.engine.stages import copy_teacher
    from osakd.runner.lock import lock_runner
    from osakd.runner.run import run_plans

    source = DataSource(given_data(data), image_options_of(chosen))
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
            errors = run_plans(plans, processes=cores, on_progress=call_and_note)
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
    """Writes summary and report of a comparison."""
    from osakd.report.layout import as_compared
    from osakd.report.statistics.panel import RecordedPanel
    from osakd.report.write import write_page

    panels = read_panels(folder)  # the records are read once
    recorded = {run.folder: run for panel in panels for run in panel.runs}
    places = [place.resolve() for place in runs]
    panel = RecordedPanel("comparison", folder.name, tuple(recorded[place] for place in places if place in recorded))
    comparison = Comparison(folder, panel)
    write_json(folder / SUMMARY, comparison.summary)
    write_page(folder.resolve().name, as_compared(panels, list(panel.scores.runs)), folder)
    return comparison
