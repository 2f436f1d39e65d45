"""What the page shows of a column: its tables, its charts, what to know about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from osakd.records import read_metrics
from osakd.report.claims import HEAD, claims
from osakd.report.forest import forest
from osakd.report.grids import Grid, accuracy_grid, score_grid
from osakd.report.lines import cut_off, line_chart, outside
from osakd.report.plan import Column
from osakd.report.pooled import read_runs
from osakd.report.readings import readings_rows
from osakd.report.rivals import HEAD as RIVALS_HEAD
from osakd.report.rivals import pairings, rivals_rows, without
from osakd.report.setup import environments, own_grid, run_grid, shared, state_of
from osakd.report.svg import line_class
from osakd.report.tables import title
from osakd.report.trends import ACCURACY, ECE, NLL, SOFT_LABELS, Curves, Quantity, Rows, trends
from osakd.report.verdicts import missing_runs, other_baselines

JPEG_COPY = "e12d9a8d"
"""How the content hash of the JPEG copy of CIFAR-10 begins."""


@dataclass(frozen=True)
class Chart:
    """A chart and the words below it."""

    caption: str
    drawing: Markup


@dataclass(frozen=True)
class Section:
    """A column on the page.

    Attributes:
        key: unique on the page, for links.
        name: of the column.
        subtitle: on which images, with which network.
        warnings: runs that failed, have not finished or are missing, and what is smaller.
        notes: what else its reader should know.
        legend: number, class, label and number of seeds of each method.
        results: tables of results.
        panels: figure 1 and the differences; scores; soft labels.
        runs: tables of the runs and of what differs between them.
        shared: settings that all runs have in common.
        environments: number and description of each.
    """

    key: str
    name: str
    subtitle: str
    warnings: list[str]
    notes: list[str]
    legend: list[tuple[int, str, str, int]]
    results: list[Grid]
    panels: list[list[Chart]]
    runs: list[Grid]
    shared: list[tuple[str, str]]
    environments: list[tuple[str, str]]


def section_of(column: Column, key: str) -> Section:
    """The section of a column."""
    deployed = [method for method in column.methods if method.predictor is None]
    numbers = {method.label: number for number, method in enumerate(deployed)}
    runs = [run_grid(column), own_grid(column)] if column.entries else []
    return Section(
        key=key,
        name=column.name,
        subtitle=title(column.summary) if column.summary else "",
        warnings=warnings(column),
        notes=notes(column),
        legend=[(number, line_class(number), one.label, len(one.seeds)) for number, one in enumerate(deployed)],
        results=result_grids(column),
        panels=_panels(column, numbers) if column.summary else [],
        runs=[grid for grid in runs if grid is not None],
        shared=shared(column),
        environments=environments(column),
    )


def result_grids(column: Column) -> list[Grid]:
    """The tables of a column's results."""
    if column.summary is None:
        return [accuracy_grid(column)]
    grids = reading_grids(column) if column.by_validation else []
    grids += [accuracy_grid(column), score_grid(column)]
    decided = claims_grid(column)
    return [*grids, decided] if decided else grids


def reading_grids(column: Column) -> list[Grid]:
    """The tables of a study: its readings by validation, and what each gains on label smoothing."""
    head, rows = readings_rows(column.planned, column.cells, column.wanted)
    note = "Chosen by validation accuracy; the test set's scores stand beside it. Most seeds first, of these the best. "
    note = f"{note}{other_baselines(column.cells, column.methods)}".rstrip()
    grids = [Grid("Cells by validation", head, rows, [row[0] for row in rows], note)]
    plan = column.plan
    for rival, chose in pairings(plan.rivals, plan.chose) if plan else []:
        rivals = rivals_rows(column.planned, rival, column.wanted, chose)
        if rivals:
            about = f"Validation scores against {rival}{without(chose)}"
            note = (
                "At the epoch of the best validation accuracy; points and nats, paired by seed, with the 95 % interval."
            )
            grids.append(Grid(about, RIVALS_HEAD, rivals, [row[0] for row in rivals], note, (0, 5)))
    return grids


def claims_grid(column: Column) -> Grid | None:
    """The paper's claims that these runs decide; None where they decide none."""
    published = {cell.label: cell.published for cell in column.cells if cell.published}
    ours, plain = published.get("osakd-8nn"), published.get("plain")
    if column.plan is None or column.plan.experiment != "table1" or not ours or not plain:
        return None
    runs = {column.name: read_runs(column.planned)}
    wanted = {column.name: (column.plan.seeds, column.plan.epochs)}
    rows = [[row[0], *row[2:]] for row in claims(runs, {column.name: ours[0] - plain[0]}, wanted)]
    note = "Differences in points, paired by seed, with the 95 % interval; fewer than three seeds decide nothing."
    return Grid("The paper's claims", [HEAD[0], *HEAD[2:]], rows, note=note, text=(0, 2))


def warnings(column: Column) -> list[str]:
    """What is not as it was planned: failed, unfinished, missing, smaller."""
    found = []
    for entry in column.entries:
        if entry.result is None:
            seed = "" if entry.seed is None else f", seed {entry.seed}"
            found.append(f"{entry.label}{seed}: {state_of(entry)}")
    if column.plan:
        number = missing_runs(column.cells, column.methods, column.plan.seeds)
        if number:
            found.append(f"Not run or not finished: {number} of {column.plan.seeds * len(column.cells)} runs")
    if column.summary and column.summary.configuration["fraction"] < 1:
        share = 100 * column.summary.configuration["fraction"]
        found.append(f"A smaller version: {share:g} % of the training images")
    if column.plan and column.summary and column.summary.epochs < column.plan.epochs:
        found.append(f"A smaller version: {column.summary.epochs} of {column.plan.epochs} epochs")
    return found


def notes(column: Column) -> list[str]:
    """What a reader should know of the images and the soft labels."""
    if column.summary is None:
        return []
    data = column.summary.data
    copied = data["content"].startswith(JPEG_COPY)
    found = ["The images are a JPEG copy of CIFAR-10, not the paper's own: accuracies may be lower."] if copied else []
    plain = [note.removeprefix("Note: ") for note in column.summary.notes]
    return found + [f"{note[0].upper()}{note[1:]}" for note in plain]


def _panels(column: Column, numbers: dict[str, int]) -> list[list[Chart]]:
    curves: dict[str, list[Rows]] = {}
    for label, folder in column.finished:
        curves.setdefault(label, []).append(read_metrics(folder))
    first = _charts(curves, (ACCURACY,), numbers)
    differences = forest(column.methods, numbers)
    if differences is not None:
        caption = (
            "Paired by seed, with 95 % intervals from two seeds on, dashed where they go beyond the axis. "
            "Filled: last epoch; open: best epoch on test. "
        )
        caption = f"{caption}{other_baselines(column.cells, column.methods)}".rstrip()
        first.append(Chart(caption, differences))
    panels = [first, _charts(curves, (NLL, ECE), numbers), _charts(curves, SOFT_LABELS, numbers)]
    return [charts for charts in panels if charts]


def _charts(curves: Curves, quantities: Sequence[Quantity], numbers: dict[str, int]) -> list[Chart]:
    charts = []
    for quantity in quantities:
        found = trends(curves, quantity)
        if found:
            left_out = [f"{one.label} ({one.mean[-1]:.{quantity.decimals}f})" for one in outside(found)]
            said = [cut_off(found, quantity)]
            said += [f"Outside the axes, with its last value: {', '.join(left_out)}."] if left_out else []
            charts.append(Chart(" ".join(filter(None, said)), line_chart(found, quantity, numbers)))
    return charts
