"""A table: columns, each a head and how a row's cell is written, and the objects that are its rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column of a table.

    Attributes:
        head: its head.
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
        title: what it shows.
        columns: its columns.
        rows: the objects that its rows are of.
        note: what its reader must know.
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

    @property
    def labels(self) -> list[str]:
        """The label of each row's method; empty where rows are not of methods."""
        return [self.label(row) for row in self.rows] if self.label else []


def markdown(table: Table[Row]) -> str:
    r"""A table as Markdown.

    Example:
        >>> print(markdown(Table("t", (Column("n", str), Column("sign", lambda n: "a|b")), [1])))
        | n | sign |
        | --- | --- |
        | 1 | a\|b |
    """
    lines = [table.head, ["---"] * len(table.columns), *table.cells]
    escaped = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
