"""What the page shows of a column: its tables, its charts, what to know about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from osakd.data.recipes import copy_note
from osakd.report.charts.forest import forest
from osakd.report.charts.lines import cut_off, line_chart, outside
from osakd.report.charts.svg import line_class
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.trends import ACCURACY, ECE, NLL, SOFT_LABELS, Quantity, trends
from osakd.report.tables.results import accuracy_table, score_table
from osakd.report.tables.setup import environments, run_table, settings_of
from osakd.report.tables.study import against_tables, claims_table, readings_table, weights_table
from osakd.report.tables.table import Table


@dataclass(frozen=True)
class Picture:
    """A training image.

    Attributes:
        source: the image as a PNG in a ``data:`` address.
        name: name of its class.
        entropy: entropy of its soft label, in nats.
        shares: classes of its soft label with their probabilities, the largest first, and its own class.
    """

    source: str
    name: str
    entropy: float
    shares: list[tuple[str, float]]


@dataclass(frozen=True)
class Gallery:
    """Training images of a run, the most ambiguous soft labels first.

    Attributes:
        title: the run.
        caption: how the soft labels came about.
        pictures: the images, in order.
    """

    title: str
    caption: str
    pictures: list[Picture]


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
    deployed = column.deployed
    shared, settings = settings_of(column)
    runs = [run_table(column), settings] if column.runs else []
    return Section(
        key=key,
        name=column.name,
        subtitle=column.title,
        warnings=warnings(column),
        notes=notes(column),
        legend=[(number, line_class(number), row.label, row.n) for number, row in enumerate(deployed)],
        results=result_tables(column),
        panels=_panels(column, {row.label: number for number, row in enumerate(deployed)}) if deployed else [],
        runs=[table for table in runs if table is not None],
        shared=shared,
        environments=environments(column),
    )


def result_tables(column: RecordedColumn) -> list[Table[Any]]:
    """The tables of a column's results."""
    if not column.finished:
        return [accuracy_table(column)]
    tables: list[Table[Any]] = [readings_table(column), *against_tables(column)] if column.by_validation else []
    tables += [weights_table(column)] if column.view == "settings" else []
    tables += [accuracy_table(column), score_table(column)]
    claims = claims_table(column)
    return [*tables, claims] if claims else tables


def warnings(column: RecordedColumn) -> list[str]:
    """What is not as it was planned: failed, unfinished, missing, smaller."""
    sentences = [column.note.removesuffix(".")] if column.note else []
    for run in column.runs:
        if run.result is None:
            seed = "" if run.seed is None else f", seed {run.seed}"
            sentences.append(f"{run.label}{seed}: {run.state_in_words}")
    if column.missing_runs:
        sentences.append(f"Not run or not finished: {column.missing_runs} of {column.planned_runs} runs")
    if column.fraction < (column.plan.fraction if column.plan else 1):
        sentences.append(f"A smaller version: {100 * column.fraction:g} % of the training images")
    if column.plan and 0 < column.epochs < column.plan.epochs:
        sentences.append(f"A smaller version: {column.epochs} of {column.plan.epochs} epochs")
    return sentences


def notes(column: RecordedColumn) -> list[str]:
    """What a reader should know of the images and the soft labels."""
    if not column.finished:
        return []
    sentences = [note.removeprefix("Note: ") for note in column.notes]
    copied = copy_note(column.finished[0].config.data["content"])
    return copied + [f"{sentence[0].upper()}{sentence[1:]}" for sentence in sentences]


def _panels(column: RecordedColumn, numbers: dict[str, int]) -> list[list[Chart]]:
    first = _charts(column, (ACCURACY,), numbers)
    differences = forest(column.deployed, numbers)
    if differences is not None:
        caption = (
            "Paired by seed, with 95 % intervals from two seeds on, dashed where they go beyond the axis. "
            "Filled: last epoch; open: best epoch on test. "
        )
        first.append(Chart(f"{caption}{column.other_baselines}".rstrip(), differences))
    panels = [first, _charts(column, (NLL, ECE), numbers), _charts(column, SOFT_LABELS, numbers)]
    return [charts for charts in panels if charts]


def _charts(column: RecordedColumn, quantities: Sequence[Quantity], numbers: dict[str, int]) -> list[Chart]:
    charts = []
    for quantity in quantities:
        lines = trends(column.curves, quantity)
        if lines:
            left_out = [f"{line.label} ({line.mean[-1]:.{quantity.decimals}f})" for line in outside(lines)]
            captions = [cut_off(lines, quantity)]
            captions += [f"Outside the axes, with its last value: {', '.join(left_out)}."] if left_out else []
            charts.append(Chart(" ".join(filter(None, captions)), line_chart(lines, quantity, numbers)))
    return charts
