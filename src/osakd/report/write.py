"""Writes a report: the page, the tables, the figures. The same records give the same bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osakd.durable import write_atomic
from osakd.errors import InputError, as_sentences, printable_lines
from osakd.report.charts.curves import write_curves
from osakd.report.page.page import Gallery, page, result_tables, warnings
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.tables.table import Table, latex, markdown_text, titled
from osakd.report.tables.values import values_csv

PAGE, FIGURES = "report.html", "figures"


def write_page(name: str, panels: Sequence[RecordedPanel], out: Path) -> Path:
    """Writes ``report.html`` alone into a folder, which is made, and returns its path."""
    return _put(page(name, panels), out)


def write_report(
    name: str,
    panels: Sequence[RecordedPanel],
    out: Path,
    *,
    galleries: Sequence[Gallery] = (),
    complexity: Sequence[Table[Any]] = (),
) -> Path:
    """Writes the page, ``tables.md``, ``tables.tex``, ``tables.csv``, and the curves into ``figures/``.

    The folder ``out`` is made. Returns the path of the page.
    """
    if (out / FIGURES).is_symlink():
        raise InputError(f"{str(out / FIGURES)!r} is a link to another folder: remove it, or name another --out.")
    path = _put(page(name, panels, galleries, complexity), out)
    names: set[str] = set()
    as_markdown, as_latex = [f"# {markdown_text(name)}"], [r"% needs \usepackage{booktabs}"]
    for panel in panels:
        where, title = f"{panel.place}, {panel.name}", panel.title or "not run"
        as_markdown += [f"## {markdown_text(where)}", markdown_text(title)]
        as_markdown += filter(None, [markdown_text(" ".join(f"{warning}." for warning in warnings(panel)))])
        for table in result_tables(panel):
            as_markdown += titled(table)
            caption = f"{table.title}: {panel.caption() if panel.finished else where}. {table.note}"
            as_latex.append(latex(table, caption.rstrip(), _file_name(f"{where}, {table.title}", names)))
        if panel.finished:
            write_curves({"": panel}, out / FIGURES, name=_file_name(where, names))
    for table in complexity:
        as_markdown += titled(table)
        as_latex.append(latex(table, f"{table.title}. {table.note}", _file_name(table.title, names)))
    write_atomic(out / "tables.md", ("\n\n".join(as_markdown) + "\n").encode())
    write_atomic(out / "tables.tex", "\n".join(as_latex).encode())
    write_atomic(out / "tables.csv", values_csv(panels).encode())
    return path


def _put(text: str, out: Path) -> Path:
    with as_sentences(out):
        out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / PAGE, printable_lines(text).encode())
    return out / PAGE


def _file_name(words: str, taken: set[str]) -> str:
    """A name that every file system takes, and that is not yet taken.

    Example:
        >>> taken = set()
        >>> _file_name("table1, x y", taken), _file_name("table1, x-y", taken), _file_name("runs, X: lenet", taken)
        ('table1-x-y', 'table1-x-y-2', 'runs-X-lenet')
    """
    parts = "".join(character if character.isalnum() or character in "._" else "-" for character in words).split("-")
    name = "-".join(part for part in parts if part)
    numbered = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    free = next(each for each in numbered if each.casefold() not in taken)
    taken.add(free.casefold())
    return free
