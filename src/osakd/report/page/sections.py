"""What the page shows of a column: its tables, its charts, what to know about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from osakd.data.recipes import copy_note
from osakd.report.charts.forest import forest
from osakd.report.charts.lines import cut_off, line_chart, outside
from osakd.report.charts.svg import line_class
from osakd.report.charts.trends import ACCURACY, ECE, NLL, SOFT_LABELS, Quantity, trends
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import title
from osakd.report.statistics.runs import Curve
from osakd.report.statistics.verdicts import missing_runs, other_baselines, planned_runs
from osakd.report.tables.accuracy import accuracy_table
from osakd.report.tables.scores import score_table
from osakd.report.tables.setup import environments, run_table, settings_of
from osakd.report.tables.study import claims_table, readings_table, rival_tables
from osakd.report.tables.table import Table
from osakd.report.tables.weights import weights_table


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
        name: name of the column.
        subtitle: on which images, with which network.
        warnings: runs that failed, have not finished or are missing, and what is smaller.
        notes: what else its reader should know.
        legend: number, class, label and number of seeds of each method.
        results: tables of results.
        panels: charts side by side: accuracy and differences; scores; soft labels.
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
    results: list[Table[Any]]
    panels: list[list[Chart]]
    runs: list[Table[Any]]
    shared: list[tuple[str, str]]
    environments: list[tuple[str, str]]


def section_of(column: RecordedColumn, key: str) -> Section:
    """The section of a column."""
    numbers = {method.label: number for number, method in enumerate(column.deployed)}
    shared, settings = settings_of(column)
    runs = [run_table(column), settings] if column.runs else []
    return Section(
        key=key,
        name=column.name,
        subtitle=title(column.summary) if column.summary else "",
        warnings=warnings(column),
        notes=notes(column),
        legend=[(number, line_class(number), one.label, len(one.seeds)) for number, one in enumerate(column.deployed)],
        results=result_tables(column),
        panels=_panels(column, numbers) if column.summary else [],
        runs=[table for table in runs if table is not None],
        shared=shared,
        environments=environments(column),
    )


def result_tables(column: RecordedColumn) -> list[Table[Any]]:
    """The tables of a column's results."""
    if column.summary is None:
        return [accuracy_table(column)]
    tables: list[Table[Any]] = [readings_table(column), *rival_tables(column)] if column.by_validation else []
    if column.experiment and column.experiment.view == "settings":
        tables.append(weights_table(column))
    claims = claims_table(column)
    return [*tables, accuracy_table(column), score_table(column), *([claims] if claims else [])]


def warnings(column: RecordedColumn) -> list[str]:
    """What is not as it was planned: failed, unfinished, missing, smaller."""
    said = [column.note.removesuffix(".")] if column.note else []
    for run in column.runs:
        if run.result is None:
            seed = "" if run.seed is None else f", seed {run.seed}"
            said.append(f"{run.label}{seed}: {run.state_in_words}")
    number = missing_runs(column)
    if number:
        said.append(f"Not run or not finished: {number} of {planned_runs(column)} runs")
    if column.fraction < (column.plan.fraction if column.plan else 1):
        said.append(f"A smaller version: {100 * column.fraction:g} % of the training images")
    if column.plan and column.summary and column.summary.epochs < column.plan.epochs:
        said.append(f"A smaller version: {column.summary.epochs} of {column.plan.epochs} epochs")
    return said


def notes(column: RecordedColumn) -> list[str]:
    """What a reader should know of the images and the soft labels."""
    if column.summary is None:
        return []
    said = [note.removeprefix("Note: ") for note in column.summary.notes]
    return copy_note(column.summary.data["content"]) + [f"{note[0].upper()}{note[1:]}" for note in said]


def _panels(column: RecordedColumn, numbers: dict[str, int]) -> list[list[Chart]]:
    curves: dict[str, list[Curve]] = {}
    for run in column.pooled:
        curves.setdefault(run.label, []).append(run.curve)
    first = _charts(curves, (ACCURACY,), numbers)
    differences = forest(column.methods, numbers)
    if differences is not None:
        caption = (
            "Paired by seed, with 95 % intervals from two seeds on, dashed where they go beyond the axis. "
            "Filled: last epoch; open: best epoch on test. "
        )
        first.append(Chart(f"{caption}{other_baselines(column)}".rstrip(), differences))
    panels = [first, _charts(curves, (NLL, ECE), numbers), _charts(curves, SOFT_LABELS, numbers)]
    return [charts for charts in panels if charts]


def _charts(curves: dict[str, list[Curve]], quantities: Sequence[Quantity], numbers: dict[str, int]) -> list[Chart]:
    charts = []
    for quantity in quantities:
        lines = trends(curves, quantity)
        if lines:
            left_out = [f"{one.label} ({one.mean[-1]:.{quantity.decimals}f})" for one in outside(lines)]
            said = [cut_off(lines, quantity)]
            said += [f"Outside the axes, with its last value: {', '.join(left_out)}."] if left_out else []
            charts.append(Chart(" ".join(filter(None, said)), line_chart(lines, quantity, numbers)))
    return charts
