"""What the methods cost, beside the paper's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from osakd.report.tables.table import Column, Table


@dataclass(frozen=True)
class Figure:
    """A number of the paper beside ours.

    Attributes:
        what: what is counted or measured.
        paper: number as the paper has it, ``-`` where it says nothing.
        ours: number as counted or measured here.
        verdict: how they compare.
    """

    what: str
    paper: str
    ours: str
    verdict: str


@dataclass(frozen=True)
class Complexity:
    """The complexity figures of a folder of records.

    Attributes:
        figures: the figures.
        machine: where the steps were timed.
    """

    figures: Sequence[Figure]
    machine: str


_COLUMNS = (
    Column[Figure]("CIFAR-10's shape", lambda figure: figure.what, is_text=True),
    Column[Figure]("paper", lambda figure: figure.paper),
    Column[Figure]("ours", lambda figure: figure.ours),
    Column[Figure]("verdict", lambda figure: figure.verdict, is_text=True),
)


def figures_table(figures: Sequence[Figure], note: str) -> Table[Figure]:
    """Figures as a table."""
    return Table("What the methods cost", _COLUMNS, figures, note)


def complexity_table(complexity: Complexity) -> Table[Figure]:
    """Recorded figures as a table."""
    note = "The paper's FLOPs of a forward pass are multiply-accumulates (MACs). All is counted but the steps: medians "
    note += f"over rounds in which the methods take turns, on made images ({complexity.machine})."
    return figures_table(complexity.figures, note)
