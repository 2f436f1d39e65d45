"""A recorded panel as Markdown, as ``osakd reproduce`` prints it: beside the paper, as curves, or by validation."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from osakd.plan import View
from osakd.report.charts.curves import write_curves
from osakd.report.statistics.findings import advice
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.tables.results import epochs_table, paper_table
from osakd.report.tables.study import (
    against_tables,
    contrast_tables,
    deployed_table,
    overall_table,
    validation_table,
    weights_table,
)
from osakd.report.tables.table import Table, markdown, titled


def panel_text(panel: RecordedPanel, view: View, drawn: Path | None = None) -> str:
    """A panel as its experiment shows it, and which runs do not count.

    Curves are drawn into the folder ``drawn``; None draws nothing.
    """
    if view != "paper" and not panel.finished:
        title, *shown = f"**{panel.name}**", "Nothing is recorded yet."
    else:
        title, *shown = _VIEWS[view](panel, drawn)
    return _paragraphs([title, panel.note, *shown, *(f"{sentence}." for sentence in panel.shorter_runs)])


def figure_text(name: str, panels: Sequence[RecordedPanel], folder: Path, *, draw: bool) -> str:
    """Draws the curves of all panels in one picture, and says where it is; nothing for fewer than two."""
    drawn = {panel.name: panel for panel in panels if panel.finished}
    if not draw or len(drawn) < 2:
        return ""
    return f"All of them: {', '.join(map(str, write_curves(drawn, folder, name=name)))}."


def study_texts(panels: Sequence[RecordedPanel]) -> tuple[str, str]:
    """What the panels of a study say together, before and after them; nothing where none has finished runs."""
    done = [panel for panel in panels if panel.finished]
    taken = [(panel.name, words) for panel in done if (words := advice(panel))]
    lines = "\n".join(f"- On {name}, {words[0].lower()}{words[1:]}" for name, words in taken)
    return _paragraphs([lines, *_shown([deployed_table(done), overall_table(done)])]), _paragraphs(
        _shown(contrast_tables(done))
    )


def _shown(tables: Sequence[Table[Any]]) -> list[str]:
    return [part for table in tables if table.rows for part in titled(table)]


def _beside_the_paper(panel: RecordedPanel, _: Path | None) -> list[str]:
    data = panel.finished[0].config.data["name"] if panel.finished else None
    name = "" if panel.name == data else panel.name
    title = f"**{': '.join(filter(None, [name, panel.title]))}**"
    return [title, markdown(paper_table(panel)), panel.other_baselines, _missing(panel)]


def _curves(panel: RecordedPanel, drawn: Path | None) -> list[str]:
    paths = write_curves({"": panel}, drawn) if drawn else []
    where = f"Drawn in {', '.join(str(path) for path in paths)}." if paths else ""
    return [f"**{panel.title}**", markdown(epochs_table(panel)), _missing(panel), where]


def _by_validation(panel: RecordedPanel, _: Path | None) -> list[str]:
    parts = [f"**{panel.name}: {panel.title}**", markdown(validation_table(panel))]
    parts += [panel.other_baselines, _missing(panel)]
    for table in against_tables(panel):
        parts += [f"{table.title}, at the epoch of the best validation accuracy:", markdown(table)]
    return parts


def _in_study(panel: RecordedPanel, _: Path | None) -> list[str]:
    table = weights_table(panel)
    return [f"**{panel.name}: {panel.title}**", markdown(table), table.note, _missing(panel)]


def _missing(panel: RecordedPanel) -> str:
    return f"Missing: {panel.missing}." if panel.missing else ""


def _paragraphs(parts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, parts))


_VIEWS: dict[View, Callable[[RecordedPanel, Path | None], list[str]]] = {
    "paper": _beside_the_paper,
    "curves": _curves,
    "validation": _by_validation,
    "study": _in_study,
}
