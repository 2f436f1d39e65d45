"""The report as one HTML file that needs nothing else: no network, no other file. It is whole without JavaScript."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from osakd.report.page.gallery import Gallery
from osakd.report.page.sections import Section, section_of
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.findings import findings
from osakd.report.statistics.format import MINUS
from osakd.report.statistics.recommendation import recommendations
from osakd.report.statistics.runs import State
from osakd.report.tables.table import Table

_TOGETHER = re.compile(r" (?=[%±=])|(?<=[±=]) ")
"""Spaces at which no line may end: those within ``64.5 ± 0.3 %`` and ``n = 5``."""
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
    environment.filters |= {"typeset": typeset, "set_rows": set_rows}
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


def set_rows(table: Table[Any]) -> Markup:
    """The rows of a table as HTML; not in the template, where ten thousand of them would take seconds."""
    kinds = [' class="w"' if column.is_text else "" for column in table.columns]
    labels = [Markup(' data-label="{}"').format(label) for label in table.labels] or [""] * len(table.rows)
    rows = []
    for label, (first, *cells) in zip(labels, table.cells, strict=True):
        others = "".join(f"<td{kind}>{set_cell(cell)}</td>" for kind, cell in zip(kinds[1:], cells, strict=True))
        rows.append(f"<tr{label}><th scope=row{kinds[0]}>{set_cell(first)}</th>{others}</tr>")
    return Markup("\n".join(rows))  # noqa: S704 - every part is escaped


@lru_cache(4096)
def set_cell(text: str) -> Markup:
    """A cell of a table: what stands in brackets goes below, smaller.

    Example:
        >>> set_cell("-0.09 [-0.86, +0.68]"), set_cell("<k>")
        (Markup('\N{MINUS SIGN}0.09 <small>[\N{MINUS SIGN}0.86, +0.68]</small>'), Markup('&lt;k&gt;'))
    """
    places = [text.find(opening) for opening in (" [", " (") if text.find(opening) > 0]
    if not places:
        return Markup("{}").format(typeset(text))
    return Markup("{} <small>{}</small>").format(typeset(text[: min(places)]), typeset(text[min(places) + 1 :]))


def typeset(text: str) -> str:
    """Text as it is set: a minus before a number, a dash for none.

    Example:
        >>> typeset("-0.09 [-0.86, +0.68]"), typeset("-"), typeset("osakd-8nn"), typeset("1e-05")
        ('\N{MINUS SIGN}0.09 [\N{MINUS SIGN}0.86, +0.68]', '\N{EN DASH}', 'osakd-8nn', '1e-05')
    """
    text = "\N{EN DASH}" if text == "-" else MINUS.sub("\N{MINUS SIGN}", text)
    return _TOGETHER.sub("\N{NO-BREAK SPACE}", text)


def _leading(columns: Sequence[RecordedColumn]) -> list[RecordedColumn]:
    """What the findings are about: the table of the paper that was run, else the first column with finished runs."""
    done = [column for column in columns if column.summary is not None]
    paper = [column for column in done if column.experiment and column.experiment.view == "paper"]
    return [column for column in paper if column.place == paper[0].place] or done[:1]


def _recommended(columns: Sequence[RecordedColumn], leading: Sequence[RecordedColumn]) -> list[str]:
    """What to take: by the study in several settings where there is one, else by what the findings are about."""
    study = [one for one in columns if one.summary and one.experiment and one.experiment.view == "settings"]
    return recommendations(study or leading)


def _parts(columns: Sequence[RecordedColumn], leading: Sequence[RecordedColumn]) -> list[Part]:
    parts: dict[str, list[tuple[str, RecordedColumn]]] = {}
    for number, column in enumerate(columns):
        parts.setdefault(column.place, []).append((f"c{number}", column))
    return [_part(place, own, leading) for place, own in parts.items()]


def _part(place: str, columns: Sequence[tuple[str, RecordedColumn]], leading: Sequence[RecordedColumn]) -> Part:
    experiment = next((column.experiment for _, column in columns if column.experiment), None)
    done = [column for _, column in columns if column.summary is not None]
    led = [id(column) for column in done] == [id(column) for column in leading]
    said = [] if led else [f"{column.name}: {' '.join(findings([column]))}" for column in done]
    sections = [section_of(column, key) for key, column in columns]
    return Part(experiment.title if experiment else place.capitalize(), sections, said)


def _counted(columns: Sequence[RecordedColumn]) -> str:
    """How many runs the report is of, in what state."""
    states = Counter(run.state for column in columns for run in column.runs)
    order: tuple[State, ...] = ("finished", "unfinished", "failed", "damaged")
    return ", ".join(f"{states[state]} {state}" for state in order if states[state])
