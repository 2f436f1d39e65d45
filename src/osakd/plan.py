"""What an experiment is: columns of cells, each a method to run, with the number that the paper reports for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from osakd.errors import unknown_name

View = Literal["paper", "curves", "readings", "settings"]
BASELINE, SMOOTHING = "plain", "label-smoothing"
"""Labels of the two cells that every comparison should have: plain training, and the simplest soft labels."""
TUNED = "tuned label smoothing"
"""Name of the cells of label smoothing whose strength is the best by validation, in each column of a study."""


@dataclass(frozen=True)
class Published:
    """A mean and a standard deviation over 5 runs, in per cent, as the paper prints them."""

    mean: float
    std: float


@dataclass(frozen=True)
class Cell:
    """A method with every seed.

    Attributes:
        label: name in tables and of its folders.
        method: method as ``osakd.train`` takes it.
        published: test accuracy in the paper; None for what is not in the paper.
        options: training options that differ from the column's.
        averaged: outputs beside the deployed network's that the paper averages with it.
        baseline: label of the cell that it is compared with.
    """

    label: str
    method: str | Mapping[str, Any]
    published: Published | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    averaged: tuple[str, ...] = ()
    baseline: str = BASELINE


@dataclass(frozen=True)
class Reading:
    """A reading of the paper's method, about which the paper's claims are asked.

    Attributes:
        ours: label of the cell that stands for the method.
        name: the reading in words; empty where the column has one only.
    """

    ours: str
    name: str = ""


@dataclass(frozen=True)
class Preference:
    """A claim of the paper that one cell is better than another.

    Attributes:
        claim: the claim in words.
        better: label of the better cell.
        worse: label of the other.
    """

    claim: str
    better: str
    worse: str


@dataclass(frozen=True)
class Column:
    """Cells on one data set.

    Attributes:
        name: name of its folder.
        data: name of the data set.
        epochs: epochs of each run.
        cells: its cells, in the order of the table's rows.
        seeds: number of seeds.
        options: training options that differ from the data set's recipe.
        again_within: cells whose best validation accuracy is at most this far from the best cell's get another seed,
            and so do their baselines and label smoothing.
        chose: seeds that were used to choose the cells.
        rivals: labels of the cells that all others are compared with, where validation decides.
        ours: label of the cell that stands for the paper's method in the findings.
        readings: readings of the method that the paper's claims are asked about; none where they are not about this
            column.
        preferences: claims of the paper that one of two cells is better.
        contrasts: by label of a cell, those that it is tested against in all columns of a study together, with one
            correction for all tests; :data:`TUNED` may be one of them.
        note: what every reader should know of the column; empty for nothing.
        folder: folder of the experiment whose runs it shows; empty for that of its own.
    """

    name: str
    data: str
    epochs: int
    cells: tuple[Cell, ...]
    seeds: int = 5
    options: Mapping[str, Any] = field(default_factory=dict)
    again_within: float | None = None
    chose: tuple[int, ...] = ()
    rivals: tuple[str, ...] = (SMOOTHING,)
    ours: str | None = None
    readings: tuple[Reading, ...] = ()
    preferences: tuple[Preference, ...] = ()
    contrasts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""
    folder: str = ""

    @property
    def fraction(self) -> float:
        """Share of the training images that is planned to be used."""
        return self.options.get("fraction", 1.0)

    def baseline_of(self, label: str) -> str:
        """Label of the cell that a cell is compared with."""
        return next((cell.baseline for cell in self.cells if cell.label == label), BASELINE)


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper, or a study of our own.

    Attributes:
        name: its name on the command line.
        title: what it is.
        columns: its columns, run one after the other.
        view: how it is shown: beside the paper's numbers, as curves, by validation, or over several settings with last
            and averaged weights.
        folder: folder of its records; by default its name, else those of another experiment.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    view: View = "paper"
    folder: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder or self.name)

    def folder_of(self, column: Column) -> str:
        """The folder of a column's records within that of all records."""
        return f"{column.folder or self.folder}/{column.name}"

    def chosen(self, columns: Sequence[str] | None, cells: Sequence[str] | None) -> tuple[Column, ...]:
        """The columns of these names with the cells of these labels; None stands for all.

        Raises:
            InputError: a name or a label that there is not.
        """
        names = [column.name for column in self.columns]
        labels = list(dict.fromkeys(cell.label for column in self.columns for cell in column.cells))
        for kind, asked, known in (("column", columns, names), ("cell", cells, labels)):
            for one in asked or []:
                if one not in known:
                    raise unknown_name(f"{kind} of {self.name}", one, known)
        kept = [
            replace(column, cells=tuple(cell for cell in column.cells if cells is None or cell.label in cells))
            for column in self.columns
            if columns is None or column.name in columns
        ]
        return tuple(column for column in kept if column.cells)

    @property
    def has_own_runs(self) -> bool:
        """Whether its runs are its own, not those of another experiment."""
        return self.folder == self.name
