"""The tables and the figure of the paper, and the study of its readings: what is missing is run, then all is shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.api.arguments import exit_unguarded, process_count, seed_list, with_absolute_paths
from osakd.errors import InputError, RunError

if TYPE_CHECKING:
    from osakd.plan import Column, Experiment
    from osakd.runner.progress import OnProgress


@dataclass(frozen=True)
class Reproduction:
    """An experiment, run and shown.

    Attributes:
        text: a table for each column as Markdown, with what is missing and what failed.
        failed: why runs failed, by their name.
    """

    text: str
    failed: dict[str, str] = field(default_factory=dict)


def reproduce(
    name: str = "table1",
    *,
    data: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    out: str | Path = "records",
    dry_run: bool = False,
    processes: int | None = None,
    scheduler: str | None = None,
    on_progress: "OnProgress | None" = None,
    **options: Any,
) -> Reproduction:
    """Runs what is missing of a table or figure of the paper, and shows ours beside theirs.

    Args:
        name: ``table1``, ``table2``, ``figure1``, ``cost``, ``claims``, ``readings`` or ``beyond``.
        data: only these columns: names of data sets, or local folders called like them.
        seeds: how many, or which; by default the paper's 5.
        epochs: of each run; by default the paper's.
        out: folder of the records; a run lies in ``<out>/<name>/<column>/<method>-seed<seed>``.
        dry_run: only show what is recorded, and what is missing of the whole.
        processes: as for ``compare``.
        scheduler: as for ``compare``.
        on_progress: as for ``compare``.
        **options: ``device`` and ``executor``, as for ``train``.

    Returns:
        The tables. A run that fails is recorded with its error and stops no other; it is tried again the next time.

    Raises:
        InputError: something given cannot be used.
        RunError: another runner is at work on one of the columns.
    """
    from osakd.experiments.catalogue import CLAIMS, COST, columns_of, find_experiment, wrong

    exit_unguarded()
    out = Path(out).expanduser()
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file: name the folder of the records with --out.")
    if name in (COST, CLAIMS):
        asked = {"data": data, "seeds": seeds, "epochs": epochs, "processes": processes, "scheduler": scheduler}
        asked |= options
        useless = [key for key, value in asked.items() if value not in (None, "auto")]
        if useless:
            raise InputError(f"`reproduce {name}` trains nothing: leave out {', '.join(useless)}.")
        return Reproduction(_cost(out, dry_run) if name == COST else _claims(out))
    experiment = find_experiment(name)
    if epochs is not None and epochs < 1:
        raise InputError(f"`epochs` must be at least 1, got {epochs}.")
    numbers, processes = None if seeds is None else seed_list(seeds), process_count(processes)
    columns = [(one, given, out / experiment.folder / one.name) for one, given in columns_of(experiment, data)]
    failed: dict[str, str] = {}
    if not dry_run:
        where = {key: value for key, value in options.items() if value is not None}
        run = {"processes": processes, "scheduler": scheduler}
        errors: list[InputError | RunError] = []
        for column, given, folder in columns:
            try:
                _run(column, given, folder, numbers, epochs, on_progress or (lambda _: None), where, run)
            except (InputError, RunError) as error:  # of this column alone: the others are run and shown
                errors.append(error)
                failed[column.name] = str(error)
        if len(errors) == len(columns):
            raise errors[0]
    texts = []
    for column, _, folder in columns:
        texts.append(_show(experiment, column, out, draw=not dry_run))
        failed |= wrong(column, folder)
    said = [f"Failed: {run}: {error}" for run, error in failed.items()]
    return Reproduction("\n\n".join([f"# {experiment.title}", *texts, *said, *_nowhere(out)]), failed)


def _nowhere(out: Path) -> list[str]:
    return [] if out.exists() else [f"There is no folder {str(out)!r}: name that of the records with --out."]


def _cost(out: Path, dry_run: bool) -> str:
    from osakd.experiments.cost import counted
    from osakd.report.complexity import HEAD, complexity
    from osakd.report.tables import markdown_table

    if not dry_run:
        _measure(out)
    grid = complexity(out)
    rows = grid.rows if grid else [[one.what, one.paper, one.ours, one.verdict] for one in counted()]
    said = grid.note if grid else "No step is timed yet."
    return f"# Complexity\n\n{markdown_table(HEAD, rows).rstrip()}\n\n{said}"


def _measure(out: Path) -> None:
    """Counts, times, and leaves the figures with every value in the folder of the records."""
    from osakd.engine.environment import environment, pick_device
    from osakd.engine.timing import step_times
    from osakd.experiments.cost import TIMINGS, counted, timed
    from osakd.records import as_sentences, write_json
    from osakd.report.complexity import FILE

    device = pick_device(None)
    with as_sentences(out):
        out.mkdir(parents=True, exist_ok=True)
    figures, steps = counted(), []
    for one in TIMINGS:
        given = {"model": one.model, "batch_size": one.batch_size, "rounds": one.rounds, "steps": one.steps}
        seconds = step_times(one.methods, device=device, **given)
        figures += timed(one, seconds)
        steps.append(given | {"seconds_per_step": seconds})
    record = {"figures": [asdict(one) for one in figures], "steps": steps, "made_by": environment(device)}
    write_json(out / FILE, record)


def _claims(out: Path) -> str:
    from osakd.experiments.catalogue import recorded, wrong
    from osakd.experiments.cost import counted
    from osakd.experiments.table1 import TABLE1
    from osakd.report.claims import HEAD, claims
    from osakd.report.pooled import left_out, read_runs
    from osakd.report.tables import markdown_table

    runs = {one.name: read_runs(recorded(one, out / TABLE1.folder / one.name)) for one in TABLE1.columns}
    published = {one.name: [cell.published for cell in one.cells if cell.published] for one in TABLE1.columns}
    gains = {name: ours.mean - plain.mean for name, (plain, ours, _) in published.items()}
    rows = claims(runs, gains, {one.name: (one.seeds, one.epochs) for one in TABLE1.columns})
    judged = [one for one in counted() if one.verdict in ("holds", "does not hold")]
    rows += [[one.what, "counted", one.ours, one.verdict] for one in judged]
    said = []
    for one in TABLE1.columns:
        folder = out / TABLE1.folder / one.name
        said += [f"{one.name}: {sentence}." for sentence in left_out(recorded(one, folder))]
        said += [f"Failed: {name}: {why}" for name, why in wrong(one, folder).items()]
    return "\n\n".join(["# Claims", markdown_table(HEAD, rows).rstrip(), *said, *_nowhere(out)])


def _run(
    column: "Column",
    data: str,
    folder: Path,
    seeds: list[int] | None,
    epochs: int | None,
    on_progress: "OnProgress",
    where: dict[str, Any],
    run: dict[str, Any],
) -> None:
    """Runs what is missing of a column; cells that earn another seed get it."""
    from osakd.experiments.reproduce import plan_column, promising
    from osakd.runner.lock import lock_runner
    from osakd.runner.run import run_jobs

    numbers = list(range(column.seeds)) if seeds is None else seeds
    jobs = plan_column(column, data, numbers, folder, epochs=epochs, **where)
    with lock_runner(folder, on_progress) as call_and_note:
        run_jobs(with_absolute_paths(jobs) if run["scheduler"] else jobs, on_progress=call_and_note, **run)
        if column.again_within is not None and seeds is None:
            more = plan_column(promising(column, jobs, folder), data, [column.seeds], folder, epochs=epochs, **where)
            if more:
                run_jobs(with_absolute_paths(more) if run["scheduler"] else more, on_progress=call_and_note, **run)


def _show(experiment: "Experiment", column: "Column", out: Path, *, draw: bool) -> str:
    from osakd.experiments.catalogue import recorded
    from osakd.report.pooled import left_out

    runs = recorded(column, out / experiment.folder / column.name)
    text = _table(experiment, column, runs, out / experiment.name / column.name if draw else None)
    return "\n\n".join([text, *(f"{one}." for one in left_out(runs))])


def _table(experiment: "Experiment", column: "Column", runs: list[tuple[str, Path]], drawn: Path | None) -> str:
    """A column as text; curves are drawn into a folder, where one is given."""
    from osakd.api.reports import paper_cells
    from osakd.report.aggregate import summarise
    from osakd.report.curves import curves_text, write_curves
    from osakd.report.readings import readings_text
    from osakd.report.rivals import rivals_text
    from osakd.report.verdicts import column_text

    cells, wanted = paper_cells(column), (column.seeds, column.epochs)
    summary = summarise(column.name, runs, {cell.label: cell.baseline for cell in cells}) if runs else None
    if experiment.view == "paper":
        return column_text(column.name, cells, summary, wanted=wanted)
    if summary is None:
        return f"**{column.name}**\n\nNothing is recorded yet."
    if experiment.view == "readings":
        against = rivals_text(runs, wanted, column.chose, column.rivals)
        return "\n\n".join(filter(None, [readings_text(summary, runs, cells, wanted=wanted), against]))
    return curves_text(summary, write_curves(summary, drawn) if drawn else [], cells, wanted=wanted)
