"""A table: columns, each a head and how a row's cell is written, and the objects that are its rows; and its writers."""

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from markupsafe import Markup

from osakd.errors import printable, printable_lines
from osakd.report.statistics.format import MINUS

if TYPE_CHECKING:
    from rich.table import Table as ConsoleTable

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column of a table.

    Attributes:
        cell: the text of a row's cell, ``-`` for none.
        is_text: whether it holds words, not numbers.
    """

    head: str
    cell: Callable[[Row], str]
    is_text: bool = False


@dataclass(frozen=True)
class Table(Generic[Row]):
    """A table, for the page, Markdown, LaTeX, CSV and a terminal.

    Attributes:
        rows: the objects that its rows are of.
        label: label of the method that a row is of, where rows are of methods.
    """

    title: str
    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    note: str = ""
    label: Callable[[Row], str] | None = None

    @property
    def head(self) -> list[str]:
        """The heads of its columns."""
        return [column.head for column in self.columns]

    @property
    def cells(self) -> list[list[str]]:
        """The text of every cell, row by row."""
        return [[column.cell(row) for column in self.columns] for row in self.rows]


def table_of(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str = "", *, words: Collection[int] = (0,)
) -> Table[Sequence[str]]:
    """A table of texts; the columns ``words`` hold words, the others numbers."""
    columns = [
        Column[Sequence[str]](name, itemgetter(number), is_text=number in words) for number, name in enumerate(head)
    ]
    return Table(title, columns, rows, note)


def markdown(table: Table[Any], *, aligned: bool = False) -> str:
    r"""A table as Markdown, without its title and its note; ``aligned`` for a terminal.

    Example:
        >>> print(markdown(table_of("t", ["n", "sign"], [["1", "a|b"]])))
        | n | sign |
        | --- | --- |
        | 1 | a\|b |
        >>> print(markdown(table_of("t", ["name", "ms"], [["a", "1.50"]]), aligned=True))
        | name |   ms |
        | ---- | ---: |
        | a    | 1.50 |
    """
    head, *rows = [list(map(markdown_text, line)) for line in (table.head, *table.cells)]
    rule = ["---"] * len(head)
    if aligned:
        widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
        sides = [(str.ljust if column.is_text else str.rjust) for column in table.columns]
        head, *rows = [
            [side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)] for line in (head, *rows)
        ]
        rule = [
            "-" * width if column.is_text else "-" * (width - 1) + ":"
            for column, width in zip(table.columns, widths, strict=True)
        ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


_MARKS = re.compile(r"[|`]|<(?=[\w/!?])|\](?=[(\[:])")
"""What would leave a cell, or make code, HTML or a link of a name."""


def markdown_text(text: str) -> str:
    r"""Text as one line of Markdown, in which names are no more than names.

    Example:
        >>> print(markdown_text("a|b <b>[x](y)\n"))
        a\|b \<b>[x\](y)\u000a
    """
    return _MARKS.sub(r"\\\g<0>", printable(text))


def titled(table: Table[Any]) -> list[str]:
    """A table as paragraphs of Markdown: its title, its rows, its note."""
    return [f"**{markdown_text(table.title)}**", markdown(table), *([markdown_text(table.note)] if table.note else [])]


def csv_text(table: Table[Any]) -> str:
    """A table as CSV, with its heads."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_csv_cell(cell) for cell in line] for line in (table.head, *table.cells))
    return stream.getvalue()


def _csv_cell(text: str) -> str:
    """A cell of CSV: what a spreadsheet would take for a formula begins with an apostrophe.

    Example:
        >>> _csv_cell("=cmd|'/c calc'!A1"), _csv_cell("-0.5"), _csv_cell("-"), _csv_cell("-1+2")
        ("'=cmd|'/c calc'!A1", '-0.5', '-', "'-1+2")
    """
    is_number = re.fullmatch(r"-|[+-]?[\d.]+(e[+-]?\d+)?", text)
    return "'" * (text[:1] in _FORMULA and not is_number) + printable(text)


_FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
}


def latex_escaped(text: str) -> str:
    r"""Text with LaTeX's special characters escaped, and a minus before numbers."""
    return MINUS.sub("$-$", "".join(_LATEX.get(character, character) for character in printable(text)))


def latex(table: Table[Any], caption: str, label: str) -> str:
    r"""A table as LaTeX: ``\input`` it in a document that uses the package booktabs, and refer to ``tab:<label>``."""

    def line(cells: Sequence[str]) -> str:
        escaped = map(latex_escaped, cells)
        # A bracket after a line's end would be taken for its optional argument.
        return " & ".join(f"{{{cell}}}" if cell.startswith("[") else cell for cell in escaped) + r" \\"

    columns = "".join("l" if column.is_text else "r" for column in table.columns)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_escaped(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            line(table.head),
            r"\midrule",
            *map(line, table.cells),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


_TOGETHER = re.compile(r" (?=[%±=])|(?<=[±=]) ")
"""Spaces at which no line may end: those within ``64.5 ± 0.3 %`` and ``n = 5``."""


def accuracy_column(table: Table[Any]) -> int:
    """The first column of shares, which stays in view beside the method where a screen is narrow; 0 for none."""
    return next((number for number, column in enumerate(table.columns) if column.head.endswith("%")), 0)


def html_rows(table: Table[Any]) -> Markup:
    """The rows of a table as HTML; not in a template, where ten thousand of them would take seconds."""
    accuracy = accuracy_column(table)
    kinds = [
        ' class="w"' if column.is_text else ' class="key"' if number == accuracy else ""
        for number, column in enumerate(table.columns)
    ]
    rows = []
    for row, (first, *cells) in zip(table.rows, table.cells, strict=True):
        label = Markup(' data-label="{}"').format(table.label(row)) if table.label else ""
        others = "".join(f"<td{kind}>{_html_cell(cell)}</td>" for kind, cell in zip(kinds[1:], cells, strict=True))
        rows.append(f"<tr{label}><th scope=row{kinds[0]}>{_html_cell(first)}</th>{others}</tr>")
    return Markup("\n".join(rows))  # noqa: S704 - every part is escaped


@lru_cache(4096)
def _html_cell(text: str) -> Markup:
    """A cell of a table: what stands in brackets goes below, smaller.

    Example:
        >>> _html_cell("-0.09 [-0.86, +0.68]"), _html_cell("<k>")
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


def console_tables(table: Table[Any], width: int) -> "Iterator[ConsoleTable]":
    """A table for a terminal of so many letters: where that is too narrow, several, each with the first column."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as ConsoleTable

    lines = [[printable_lines(cell) for cell in line] for line in (table.head, *table.cells)]
    widths = [max(map(len, cells)) + 3 for cells in zip(*lines, strict=True)]
    groups = [[0]]
    for number in range(1, len(widths)):
        if len(groups[-1]) > 1 and sum(widths[other] for other in groups[-1]) + widths[number] > width:
            groups.append([0])
        groups[-1].append(number)
    for group in groups:
        shown = ConsoleTable(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
        for column in (table.columns[number] for number in group):
            shown.add_column(printable_lines(column.head), justify="left" if column.is_text else "right", no_wrap=True)
        for cells in lines[1:]:
            shown.add_row(*(cells[number] for number in group))
        yield shown
