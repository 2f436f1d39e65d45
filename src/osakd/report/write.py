"""Everything that a report leaves: the page, the tables, the figures. The same records give the same bytes."""

from collections.abc import Sequence
from pathlib import Path

from osakd.records import as_sentences, write_atomic
from osakd.report.curves import write_curves
from osakd.report.gallery import Gallery
from osakd.report.grids import Grid
from osakd.report.latex import latex_table
from osakd.report.page import page
from osakd.report.plan import Column
from osakd.report.sections import result_grids, warnings
from osakd.report.tables import markdown_table, title
from osakd.report.values import values_csv

PAGE, FIGURES = "report.html", "figures"


def write_page(name: str, columns: Sequence[Column], out: Path) -> Path:
    """Writes ``report.html`` alone into a folder, which is made; its path."""
    return _put(page(name, columns), out)


def write_report(
    name: str,
    columns: Sequence[Column],
    out: Path,
    *,
    galleries: Sequence[Gallery] = (),
    complexity: Grid | None = None,
) -> Path:
    """Writes the page, ``tables.md``, ``tables.tex``, ``tables.csv``, and the curves into ``figures/``.

    Args:
        name: of the folder that is reported.
        columns: what it holds, in order.
        out: folder to write into, which is made.
        galleries: training images with their soft labels, for the page.
        complexity: what the methods cost, where that is recorded.

    Returns:
        The path of the page.
    """
    path = _put(page(name, columns, galleries, complexity), out)
    markdown, latex = [f"# {name}"], [r"% needs \usepackage{booktabs}"]
    for column in columns:
        where = f"{column.experiment}, {column.name}"
        about = title(column.summary) if column.summary else "not run"
        markdown += [
            f"## {where}",
            about,
            *([" ".join(f"{one}." for one in warnings(column))] if warnings(column) else []),
        ]
        for grid in result_grids(column):
            markdown += _markdown(grid)
            latex.append(latex_table(grid, f"{where}: {grid.title}. {about}. {grid.note}".rstrip()))
        if column.summary:
            write_curves(column.summary, out / FIGURES, name=_file_name(where), kinds=("pdf", "svg", "png"))
    if complexity:
        markdown += _markdown(complexity)
        latex.append(latex_table(complexity, f"{complexity.title}. {complexity.note}"))
    write_atomic(out / "tables.md", ("\n\n".join(markdown) + "\n").encode())
    write_atomic(out / "tables.tex", "\n".join(latex).encode())
    write_atomic(out / "tables.csv", values_csv(columns).encode())
    return path


def _put(text: str, out: Path) -> Path:
    with as_sentences(out):
        out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / PAGE, text.encode())
    return out / PAGE


def _markdown(grid: Grid) -> list[str]:
    """The paragraphs of a table."""
    rows = [[cell.replace("|", r"\|") for cell in row] for row in grid.rows]
    return [f"**{grid.title}**", markdown_table(grid.head, rows).rstrip(), *([grid.note] if grid.note else [])]


def _file_name(words: str) -> str:
    """A name that every file system takes.

    Example:
        >>> _file_name("table1, cifar10"), _file_name("runs, mine: digits, lenet")
        ('table1-cifar10', 'runs-mine-digits-lenet')
    """
    parts = "".join(character if character.isalnum() or character in "._" else "-" for character in words).split("-")
    return "-".join(part for part in parts if part)
