"""The report as one HTML file that needs nothing else: no network, no other file, no JavaScript."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from osakd.report.findings import findings
from osakd.report.gallery import Gallery
from osakd.report.grids import Grid
from osakd.report.plan import Column
from osakd.report.sections import Section, section_of
from osakd.report.tables import MINUS

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
    name: str, columns: Sequence[Column], galleries: Sequence[Gallery] = (), complexity: Grid | None = None
) -> str:
    """The report.

    Args:
        name: of its folder.
        columns: what it shows, in order.
        galleries: training images with their soft labels.
        complexity: what the methods cost, where that is recorded.
    """
    leading = _leading(columns)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"typeset": typeset, "set_cell": set_cell}
    return environment.get_template("report.html").render(
        name=name,
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        behaviour=Markup((TEMPLATES / "behaviour.js").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        counted=_counted(columns),
        findings=findings(leading) if leading else ["No run has finished yet."],
        parts=_parts(columns, leading),
        galleries=galleries,
        complexity=complexity,
    )


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


def _leading(columns: Sequence[Column]) -> list[Column]:
    """What the findings are about: the table of the paper that was run, else the first column with finished runs."""
    done = [column for column in columns if column.summary is not None]
    paper = [column for column in done if column.plan and column.plan.kind == "paper"]
    return [column for column in paper if column.experiment == paper[0].experiment] or done[:1]


def _parts(columns: Sequence[Column], leading: Sequence[Column]) -> list[Part]:
    titles = {column.experiment: column.plan.title for column in columns if column.plan}
    parts = []
    for experiment in dict.fromkeys(column.experiment for column in columns):
        own = [column for column in columns if column.experiment == experiment]
        sections = [section_of(column, f"c{columns.index(column)}") for column in own]
        done = [column for column in own if column.summary is not None]
        said = [f"{column.name}: {' '.join(findings([column]))}" for column in done] if done != list(leading) else []
        parts.append(Part(titles.get(experiment, experiment.capitalize()), sections, said))
    return parts


def _counted(columns: Sequence[Column]) -> str:
    """How many runs the report is of, in what state."""
    states = Counter(
        "finished" if entry.result else "damaged" if entry.damaged else "failed" if entry.error else "unfinished"
        for column in columns
        for entry in column.entries
    )
    return ", ".join(
        f"{states[state]} {state}" for state in ("finished", "unfinished", "failed", "damaged") if states[state]
    )
