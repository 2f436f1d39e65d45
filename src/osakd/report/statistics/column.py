"""A column as it is recorded: its runs, and what was planned."""

from dataclasses import dataclass
from functools import cached_property

from osakd.plan import BASELINE, Cell, Column, Experiment
from osakd.report.statistics.aggregate import MethodSummary, Summary, summarise
from osakd.report.statistics.pooled import pooled, smaller
from osakd.report.statistics.runs import FinishedRun, RunRecord, by_label, finished


@dataclass(frozen=True)
class RecordedColumn:
    """What is recorded of a column of an experiment, or of a comparison.

    Attributes:
        place: name of the folder above, such as ``table1``; of a run alone, ``run``.
        name: name of its own folder, such as ``cifar10``.
        runs: its runs, in order.
        experiment: the experiment that it belongs to; None for a comparison of one's own.
        plan: the column as it was planned; None for a comparison of one's own.
    """

    place: str
    name: str
    runs: tuple[RunRecord, ...]
    experiment: Experiment | None = None
    plan: Column | None = None

    @cached_property
    def pooled(self) -> list[FinishedRun]:
        """The runs that means are taken over."""
        return pooled(self.runs)

    @cached_property
    def planned(self) -> dict[str, dict[int, FinishedRun]]:
        """Those of them that an experiment made, by label and seed: their folders are called so."""
        return by_label(run for run in self.pooled if run.folder.name == f"{run.label}-seed{run.seed}")

    @cached_property
    def summary(self) -> Summary | None:
        """The summary of its finished runs; None where there are none."""
        baselines = {cell.label: cell.baseline for cell in self.cells}
        return summarise(self.name, self.runs, baselines) if finished(self.runs) else None

    @property
    def methods(self) -> list[MethodSummary]:
        """The summaries of its methods."""
        return self.summary.methods if self.summary else []

    @property
    def deployed(self) -> list[MethodSummary]:
        """Those of the deployed networks, without branches, peers and ensembles."""
        return [method for method in self.methods if method.predictor is None]

    @property
    def by_validation(self) -> bool:
        """Whether validation decides: it was planned so, and every run has held images out."""
        chosen = bool(self.methods) and all("validation" in method.values for method in self.methods)
        return chosen and self.experiment is not None and self.experiment.view == "readings"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that were planned."""
        return self.plan.cells if self.plan else ()

    @property
    def note(self) -> str:
        """What every reader should know of it, as a sentence; empty for nothing."""
        return f"{self.plan.note}." if self.plan and self.plan.note else ""

    @property
    def fraction(self) -> float:
        """The share of the training images that was used."""
        return self.summary.configuration["fraction"] if self.summary else 1.0

    def find(self, label: str) -> MethodSummary | None:
        """The summary of a method; None where it has no finished run."""
        return next((method for method in self.methods if method.label == label), None)

    def baseline_of(self, label: str) -> str:
        """Label of what a method is compared with."""
        return self.plan.baseline_of(label) if self.plan else BASELINE

    def smaller(self, method: MethodSummary) -> str:
        """What of a method's runs is smaller than planned, as a list."""
        return smaller(self.plan, len(method.seeds), method.trained, self.fraction)
