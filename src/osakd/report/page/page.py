"""The report as one HTML file that needs nothing else: no network, no other file. It is whole without JavaScript."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from osakd.data.recipes import copy_note
from osakd.report.charts.forest import forest
from osakd.report.charts.lines import line_chart
from osakd.report.charts.svg import Chart, line_class
from osakd.report.statistics.findings import findings
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.trends import ACCURACY, ECE, NLL, SOFT_LABELS, trends
from osakd.report.tables.results import accuracy_table, comparison_table, score_table
from osakd.report.tables.setup import run_table, settings_of
from osakd.report.tables.study import against_tables, claims_table, validation_table, weights_table
from osakd.report.tables.table import Table, accuracy_column, html_rows, typeset
from osakd.runs import State

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A training image.

    Attributes:
        source: the image as a PNG in a ``data:`` address.
        shares: classes of its soft label with their probabilities, the largest first, and the class of the image.
    """

    source: str
    name: str
    entropy: float
    shares: list[tuple[str, float]]


@dataclass(frozen=True)
class Gallery:
    """Training images of a run, the most ambiguous soft labels first; the caption says how these came about."""

    title: str
    caption: str
    pictures: list[Picture]


def page(
    name: str,
    panels: Sequence[RecordedPanel],
    galleries: Sequence[Gallery] = (),
    complexity: Sequence[Table[Any]] = (),
) -> str:
    """The report as HTML; its panels come in order."""
    states = Counter(run.state for panel in panels for run in panel.runs)
    parts: dict[str, dict[str, Any]] = {}
    for number, panel in enumerate(panels):
        title = panel.experiment.title if panel.experiment else panel.place.capitalize()
        part = parts.setdefault(panel.place, {"title": title, "sections": []})
        part["sections"].append(section_of(panel, f"c{number}"))
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"typeset": typeset, "html_rows": html_rows, "accuracy_column": accuracy_column}
    return environment.get_template("report.html").render(
        name=name,
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        behaviour=Markup((TEMPLATES / "behaviour.js").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        several=len(panels) > 1,
        counted=", ".join(f"{states[state]} {state}" for state in get_args(State) if states[state]),
        parts=list(parts.values()),
        galleries=galleries,
        complexity=complexity,
    )


def section_of(panel: RecordedPanel, key: str) -> dict[str, Any]:
    """A panel for the template; ``key`` is unique on the page, for links."""
    deployed = panel.deployed
    shared, settings = settings_of(panel)
    runs, environments = run_table(panel)
    verdict, *said = findings(panel)
    return {
        "key": key,
        "name": panel.name,
        "subtitle": panel.title,
        "verdict": verdict,
        "said": said,
        "warnings": warnings(panel),
        "notes": notes(panel),
        "legend": [(number, line_class(number), row.label, row.n) for number, row in enumerate(deployed)],
        "results": result_tables(panel),
        "charts": _charts(panel, {row.label: number for number, row in enumerate(deployed)}) if deployed else [],
        "runs": [runs, *([settings] if settings else [])] if panel.runs else [],
        "shared": shared,
        "environments": environments,
    }


def result_tables(panel: RecordedPanel) -> list[Table[Any]]:
    """The tables of a panel's results."""
    if not panel.experiment:
        return [comparison_table(panel)] if panel.finished else []
    tables: list[Table[Any]] = [validation_table(panel), *against_tables(panel)] if panel.by_validation else []
    tables += [weights_table(panel)] if panel.view == "study" else []
    tables += [accuracy_table(panel), *([score_table(panel)] if panel.finished else [])]
    claims = claims_table(panel)
    return [*tables, claims] if claims else tables


def warnings(panel: RecordedPanel) -> list[str]:
    """What is not as it was planned: failed, unfinished, missing, smaller."""
    sentences = [panel.note.removesuffix(".")] if panel.note else []
    for run in panel.runs:
        if run.result is None:
            seed = "" if run.seed is None else f", seed {run.seed}"
            sentences.append(f"{run.label}{seed}: {run.state_in_words}")
    if panel.missing:
        sentences.append(f"Not run or not finished: {panel.missing}")
    if panel.fraction < (panel.planned.fraction if panel.planned else 1):
        sentences.append(f"A smaller version: {100 * panel.fraction:g} % of the training images")
    if panel.planned and 0 < panel.epochs < panel.planned.epochs:
        sentences.append(f"A smaller version: {panel.epochs} of {panel.planned.epochs} epochs")
    return sentences


def notes(panel: RecordedPanel) -> list[str]:
    """What a reader should know of the images and the soft labels."""
    if not panel.finished:
        return []
    sentences = [note.removeprefix("Note: ") for note in panel.notes]
    copied = copy_note(panel.finished[0].config.data["content"])
    return copied + [f"{sentence[0].upper()}{sentence[1:]}" for sentence in sentences]


def _charts(panel: RecordedPanel, numbers: dict[str, int]) -> list[list[Chart]]:
    rows: list[list[Chart | None]] = [
        [line_chart(lines, quantity, numbers) for quantity in group if (lines := trends(panel.curves, quantity))]
        for group in ((ACCURACY,), (NLL, ECE), SOFT_LABELS)
    ]
    rows[0].append(forest(panel.deployed, numbers, panel.other_baselines))
    shown = [[chart for chart in charts if chart] for charts in rows]
    return [charts for charts in shown if charts]
