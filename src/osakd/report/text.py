"""A recorded column as Markdown, as ``osakd reproduce`` prints it: beside the paper, as curves, or by validation."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from osakd.plan import View
from osakd.report.charts.curves import write_curves, write_panels
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import title
from osakd.report.statistics.pooled import left_out
from osakd.report.statistics.recommendation import recommendations
from osakd.report.statistics.study import Study
from osakd.report.statistics.verdicts import missing, other_baselines
from osakd.report.tables.accuracy import paper_table
from osakd.report.tables.epochs import epochs_table
from osakd.report.tables.study import readings_table, rival_tables
from osakd.report.tables.table import Table, markdown
from osakd.report.tables.weights import contrast_tables, overall_table, weights_table


def column_text(column: RecordedColumn, view: View, drawn: Path | None = None) -> str:
    """A column as its experiment shows it, and which runs are left out.

    Args:
        column: the column.
        view: how it is shown.
        drawn: folder that its curves are drawn into, where they are shown; None draws nothing.
    """
    title, *shown = _VIEWS[view](column, drawn)
    return _paragraphs([title, column.note, *shown, *(f"{sentence}." for sentence in left_out(column.runs))])


def _beside_the_paper(column: RecordedColumn, _: Path | None) -> list[str]:
    about = title(column.summary) if column.summary else ""
    other = column.name if column.summary is None or column.name != column.summary.data["name"] else ""
    return [
        f"**{': '.join(filter(None, [other, about]))}**",
        markdown(paper_table(column)),
        other_baselines(column),
        missing(column),
    ]


def _curves(column: RecordedColumn, drawn: Path | None) -> list[str]:
    if column.summary is None:
        return _nothing(column)
    paths = write_curves(column.summary, drawn) if drawn else []
    where = f"Drawn in {', '.join(str(path) for path in paths)}." if paths else ""
    return [f"**{title(column.summary)}**", markdown(epochs_table(column)), missing(column), where]


def panels_text(name: str, columns: Sequence[RecordedColumn], folder: Path, *, draw: bool) -> str:
    """Draws the curves of all columns as panels of one picture, and says where it is; nothing for fewer than two."""
    summaries = {column.name: column.summary for column in columns if column.summary is not None}
    if not draw or len(summaries) < 2:
        return ""
    return f"All of them: {', '.join(map(str, write_panels(summaries, folder, name=name)))}."


def _readings(column: RecordedColumn, _: Path | None) -> list[str]:
    if column.summary is None:
        return _nothing(column)
    about = f"**{column.name}: {title(column.summary)}**"
    said = [about, markdown(readings_table(column)), other_baselines(column), missing(column)]
    for table in rival_tables(column):
        said += [f"{table.title}, at the epoch of the best validation accuracy:", markdown(table)]
    return said


def _settings(column: RecordedColumn, _: Path | None) -> list[str]:
    if column.summary is None:
        return _nothing(column)
    table = weights_table(column)
    return [f"**{column.name}: {title(column.summary)}**", markdown(table), table.note, missing(column)]


def study_texts(columns: Sequence[RecordedColumn]) -> tuple[str, str]:
    """What the columns of a study say together, before and after them; nothing where none has finished runs."""
    study = Study(columns)
    advice = "\n".join(f"- {one}" for one in recommendations([one for one in columns if one.summary is not None]))
    after = [part for table in contrast_tables(study) for part in _titled(table)]
    return _paragraphs([advice, *_titled(overall_table(study))]), _paragraphs(after)


def _titled(table: Table[Any]) -> list[str]:
    return [f"**{table.title}**", markdown(table), table.note] if table.rows else []


def _nothing(column: RecordedColumn) -> list[str]:
    return [f"**{column.name}**", "Nothing is recorded yet."]


def _paragraphs(parts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, parts))


_VIEWS: dict[View, Callable[[RecordedColumn, Path | None], list[str]]] = {
    "paper": _beside_the_paper,
    "curves": _curves,
    "readings": _readings,
    "settings": _settings,
}
