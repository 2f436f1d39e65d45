"""What an experiment is: columns of cells, each a method to run, with the number that the paper reports for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

View = Literal["paper", "curves", "readings"]


@dataclass(frozen=True)
class Published:
    """A mean and a standard deviation over 5 runs, in per cent, as the paper prints them."""

    mean: float
    std: float


@dataclass(frozen=True)
class Cell:
    """A method with every seed.

    Attributes:
        label: in tables, and of its folders.
        method: as ``osakd.train`` takes it.
        published: the paper's test accuracy; None for what is not in the paper.
        options: how to train, where it is not the column's way.
        averaged: what the method predicts beside its deployed network and the paper averages with it.
        baseline: label of the cell that differences are taken to.
    """

    label: str
    method: str | Mapping[str, Any]
    published: Published | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    averaged: tuple[str, ...] = ()
    baseline: str = "plain"


@dataclass(frozen=True)
class Column:
    """Cells on one data set.

    Attributes:
        name: of its folder.
        data: name of the data set.
        epochs: of each run.
        cells: in the order of the table's rows.
        seeds: how many.
        options: how to train, where it is not the data set's recipe.
        again_within: cells whose best validation accuracy is at most this far from the best cell's get another seed,
            and so do their baselines and label smoothing.
        chose: seeds whose runs had a part in choosing the cells.
        rivals: labels of the cells that all others are compared with, where validation chooses.
    """

    name: str
    data: str
    epochs: int
    cells: tuple[Cell, ...]
    seeds: int = 5
    options: Mapping[str, Any] = field(default_factory=dict)
    again_within: float | None = None
    chose: tuple[int, ...] = ()
    rivals: tuple[str, ...] = ("label-smoothing",)


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper, or a study of our own.

    Attributes:
        name: on the command line.
        title: what it is.
        columns: run one after the other.
        view: how it is shown: beside the paper's numbers, as curves, or by validation.
        folder: of its records.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    view: View = "paper"
    folder: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder or self.name)
