"""What the methods cost: what is counted, beside the paper's numbers, and the steps that were timed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from osakd.report.tables.table import Column, Table, table_of


@dataclass(frozen=True)
class Figure:
    """A number of the paper, ``-`` where it says nothing, beside ours."""

    what: str
    paper: str
    ours: str
    verdict: str


@dataclass(frozen=True)
class Steps:
    """Training steps of methods that took turns on one network.

    Attributes:
        seconds: seconds of a step in each round, by the method's label; plain training first.
    """

    network: str
    batch_size: int
    seconds: Mapping[str, Sequence[float]]

    def cell(self, label: str) -> str:
        """A method's step; the ratio to plain training is the median of the ratios within a round.

        Example:
            >>> steps = Steps("LeNet", 64, {"plain": [0.002, 0.004, 0.003], "osakd": [0.003, 0.004, 0.003]})
            >>> steps.cell("plain"), steps.cell("osakd"), steps.cell("kd")
            ('3.0', '3.0 (1.00 times)', '-')
        """
        plain, *_ = self.seconds.values()
        seconds = self.seconds.get(label)
        if seconds is None:
            return "-"
        ratio = median(of_method / of_plain for of_method, of_plain in zip(seconds, plain, strict=True))
        return f"{1000 * median(seconds):.1f}" + (f" ({ratio:.2f} times)" if seconds is not plain else "")


def figures_table(figures: Sequence[Figure]) -> Table[Sequence[str]]:
    """What was counted."""
    note = "The paper's FLOPs of a forward pass are multiply-accumulates (MACs)."
    rows = [[figure.what, figure.paper, figure.ours, figure.verdict] for figure in figures]
    head = ("CIFAR-10's shape", "paper", "ours", "verdict")
    return table_of("What the methods cost", head, rows, note, words=(0, 3))


def steps_table(networks: Sequence[Steps], machine: str) -> Table[str]:
    """What was timed: a row for each method, a column for each network."""
    note = (
        "Median over rounds in which the methods take turns, one training run at a time with PyTorch's operators, on "
        f"made images; in brackets the ratio to plain training ({machine})."
    )
    columns = [
        Column[str](f"{steps.network}, batch {steps.batch_size}: step ms", partial(Steps.cell, steps))
        for steps in networks
    ]
    labels = list(dict.fromkeys(label for steps in networks for label in steps.seconds))
    return Table("What a training step takes", (Column[str]("method", str, is_text=True), *columns), labels, note, str)
