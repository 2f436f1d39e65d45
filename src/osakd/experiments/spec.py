"""What an experiment of the paper is: columns of runs, and the numbers that the paper reports for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Published:
    """A mean and a standard deviation over 5 runs, in per cent, as the paper prints them."""

    mean: float
    std: float


@dataclass(frozen=True)
class Column:
    """One data set of a table: every method with every seed.

    Attributes:
        data: name of the data set.
        epochs: of each run, in the paper.
        methods: labels, in the order of the table's rows.
        published: the paper's test accuracy by method; methods without one are our controls.
        options: how to train, where it is not the data set's recipe.
    """

    data: str
    epochs: int
    methods: tuple[str, ...]
    published: Mapping[str, Published]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A table of the paper.

    Attributes:
        name: of its folder.
        title: what it is.
        columns: by data set.
        seeds: how many, in the paper.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    seeds: int = 5
