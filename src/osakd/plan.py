"""What an experiment is: panels of methods to run, each with the number that the paper reports for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

View = Literal["paper", "curves", "validation", "study"]
BASELINE, SMOOTHING = "plain", "label-smoothing"
"""Labels of the two methods that every comparison should have: plain training, and the simplest soft labels."""
TUNED = "tuned label smoothing"
"""Name of the label smoothing whose strength is the best by validation, in each panel of a study."""


@dataclass(frozen=True)
class Published:
    """A mean and a standard deviation over 5 runs, in per cent, as the paper prints them."""

    mean: float
    std: float


@dataclass(frozen=True)
class PanelMethod:
    """A method of a panel, to be run with every seed.

    Attributes:
        label: name in tables and of its folders.
        method: method as ``osakd.train`` takes it.
        published: test accuracy in the paper; None for what is not in the paper.
        options: training options that differ from the panel's.
        averaged: outputs beside the deployed network's that the paper averages with it.
    """

    label: str
    method: str | Mapping[str, Any]
    published: Published | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    averaged: tuple[str, ...] = ()
    baseline: str = BASELINE


@dataclass(frozen=True)
class Interpretation:
    """How the paper's method may be understood; the name is in words, empty for a single one."""

    label: str
    name: str = ""


@dataclass(frozen=True)
class Preference:
    """A claim of the paper that a method is better than another, both by label."""

    claim: str
    better: str
    worse: str


@dataclass(frozen=True)
class Panel:
    """Methods on a data set.

    Attributes:
        methods: its methods, in the order of the table's rows.
        options: training options that differ from the data set's recipe.
        chose: seeds that were used to choose the methods.
        compared_with: labels of the methods that all others are compared with, where validation decides.
        ours: label of the method that the findings are about.
        contrasts: by label of a method, those that it is tested against in all panels of a study together, with one
            correction for all tests; :data:`TUNED` may be one of them.
        folder: folder of the experiment whose runs it shows; empty for that of its own.
    """

    name: str
    data: str
    epochs: int
    methods: tuple[PanelMethod, ...]
    seeds: int = 5
    options: Mapping[str, Any] = field(default_factory=dict)
    chose: tuple[int, ...] = ()
    compared_with: tuple[str, ...] = (SMOOTHING,)
    ours: str | None = None
    interpretations: tuple[Interpretation, ...] = ()
    preferences: tuple[Preference, ...] = ()
    contrasts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""
    folder: str = ""

    @property
    def fraction(self) -> float:
        """Share of the training images that is planned to be used."""
        return self.options.get("fraction", 1.0)


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper, or a study of our own.

    Attributes:
        view: how it is shown: beside the paper's numbers, as curves, by validation, or as a study over all panels with
            last and averaged weights.
        folder: folder of its records; by default its name, else those of another experiment.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    view: View = "paper"
    folder: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder or self.name)

    def folder_of(self, panel: Panel) -> str:
        """The folder of a panel's records within that of all records."""
        return f"{panel.folder or self.folder}/{panel.name}"

    @property
    def has_own_runs(self) -> bool:
        """Whether its runs are its own, not those of another experiment."""
        return self.folder == self.name
