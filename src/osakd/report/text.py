"""A recorded column as Markdown, as ``osakd reproduce`` prints it: beside the paper, as curves, or by validation."""

from collections.abc import Callable, Sequence
from pathlib import Path

from osakd.plan import View
from osakd.report.charts.curves import write_curves
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.recommendation import recommendations
from osakd.report.tables.results import epochs_table, paper_table
from osakd.report.tables.study import against_tables, contrast_tables, overall_table, readings_table, weights_table
from osakd.report.tables.table import markdown, titled


def column_text(column: RecordedColumn, view: View, drawn: Path | None = None) -> str:
    """A column as its experiment shows it, and which runs do not count.

    Args:
        column: the column.
        view: how it is shown.
        drawn: folder that its curves are drawn into, where they are shown; None draws nothing.
    """
    if view != "paper" and not column.finished:
        title, *shown = f"**{column.name}**", "Nothing is recorded yet."
    else:
        title, *shown = _VIEWS[view](column, drawn)
    return _paragraphs([title, column.note, *shown, *(f"{sentence}." for sentence in column.left_out)])


def panels_text(name: str, columns: Sequence[RecordedColumn], folder: Path, *, draw: bool) -> str:
    """Draws the curves of all columns as panels of one picture, and says where it is; nothing for fewer than two."""
    panels = {column.name: column for column in columns if column.finished}
    if not draw or len(panels) < 2:
        return ""
    return f"All of them: {', '.join(map(str, write_curves(panels, folder, name=name)))}."


def study_texts(columns: Sequence[RecordedColumn]) -> tuple[str, str]:
    """What the columns of a study say together, before and after them; nothing where none has finished runs."""
    done = [column for column in columns if column.finished]
    advice = "\n".join(f"- {sentence}" for sentence in recommendations(done))
    first, *others = ([*titled(table)] if table.rows else [] for table in (overall_table(done), *contrast_tables(done)))
    return _paragraphs([advice, *first]), _paragraphs([part for parts in others for part in parts])


def _beside_the_paper(column: RecordedColumn, _: Path | None) -> list[str]:
    data = column.finished[0].config.data["name"] if column.finished else None
    name = "" if column.name == data else column.name
    title = f"**{': '.join(filter(None, [name, column.title]))}**"
    return [title, markdown(paper_table(column)), column.other_baselines, _missing(column)]


def _curves(column: RecordedColumn, drawn: Path | None) -> list[str]:
    paths = write_curves({"": column}, drawn) if drawn else []
    where = f"Drawn in {', '.join(str(path) for path in paths)}." if paths else ""
    return [f"**{column.title}**", markdown(epochs_table(column)), _missing(column), where]


def _readings(column: RecordedColumn, _: Path | None) -> list[str]:
    parts = [f"**{column.name}: {column.title}**", markdown(readings_table(column))]
    parts += [column.other_baselines, _missing(column)]
    for table in against_tables(column):
        parts += [f"{table.title}, at the epoch of the best validation accuracy:", markdown(table)]
    return parts


def _settings(column: RecordedColumn, _: Path | None) -> list[str]:
    table = weights_table(column)
    return [f"**{column.name}: {column.title}**", markdown(table), table.note, _missing(column)]


def _missing(column: RecordedColumn) -> str:
    return f"Missing: {column.missing}." if column.missing else ""


def _paragraphs(parts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, parts))


_VIEWS: dict[View, Callable[[RecordedColumn, Path | None], list[str]]] = {
    "paper": _beside_the_paper,
    "curves": _curves,
    "readings": _readings,
    "settings": _settings,
}
