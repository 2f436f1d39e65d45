"""The report as one HTML file that needs nothing else: no network, no other file. It is whole without JavaScript."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from osakd.report.page.sections import Gallery, Section, section_of
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.findings import findings
from osakd.report.statistics.recommendation import recommendations
from osakd.report.statistics.runs import State
from osakd.report.tables.table import Table, html_rows, typeset

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Part:
    """An experiment on the page: its title, what its records say, its columns."""

    title: str
    sections: list[Section]
    sentences: list[str]


def page(
    name: str,
    columns: Sequence[RecordedColumn],
    galleries: Sequence[Gallery] = (),
    complexity: Sequence[Table[Any]] = (),
) -> str:
    """The report as HTML.

    Args:
        name: name of its folder.
        columns: what it shows, in order.
        galleries: training images with their soft labels.
        complexity: tables of what the methods cost, where that is recorded.
    """
    leading = _leading(columns)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"typeset": typeset, "html_rows": html_rows}
    return environment.get_template("report.html").render(
        name=name,
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        behaviour=Markup((TEMPLATES / "behaviour.js").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        counted=_counted(columns),
        findings=[*_recommended(columns, leading), *findings(leading)] if leading else ["No run has finished yet."],
        parts=_parts(columns, leading),
        galleries=galleries,
        complexity=complexity,
    )


def _leading(columns: Sequence[RecordedColumn]) -> list[RecordedColumn]:
    """What the findings are about: the table of the paper that was run, else the first column with finished runs."""
    done = [column for column in columns if column.finished]
    paper = [column for column in done if column.view == "paper"]
    return [column for column in paper if column.place == paper[0].place] or done[:1]


def _recommended(columns: Sequence[RecordedColumn], leading: Sequence[RecordedColumn]) -> list[str]:
    """What to take: by the study in several settings where there is one, else by what the findings are about."""
    study = [column for column in columns if column.finished and column.view == "settings"]
    return recommendations(study or leading)


def _parts(columns: Sequence[RecordedColumn], leading: Sequence[RecordedColumn]) -> list[Part]:
    parts: dict[str, list[tuple[str, RecordedColumn]]] = {}
    for number, column in enumerate(columns):
        parts.setdefault(column.place, []).append((f"c{number}", column))
    return [_part(place, of_place, leading) for place, of_place in parts.items()]


def _part(place: str, columns: Sequence[tuple[str, RecordedColumn]], leading: Sequence[RecordedColumn]) -> Part:
    experiment = next((column.experiment for _, column in columns if column.experiment), None)
    done = [column for _, column in columns if column.finished]
    is_leading = [id(column) for column in done] == [id(column) for column in leading]
    sentences = [] if is_leading else [f"{column.name}: {' '.join(findings([column]))}" for column in done]
    sections = [section_of(column, key) for key, column in columns]
    return Part(experiment.title if experiment else place.capitalize(), sections, sentences)


def _counted(columns: Sequence[RecordedColumn]) -> str:
    """How many runs the report is of, in what state."""
    states = Counter(run.state for column in columns for run in column.runs)
    order: tuple[State, ...] = ("finished", "unfinished", "failed", "damaged")
    return ", ".join(f"{states[state]} {state}" for state in order if states[state])
