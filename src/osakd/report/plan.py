"""What was planned: the cells that a column of an experiment should have, and the paper's numbers for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from osakd.report.aggregate import MethodSummary, Summary, summarise
from osakd.report.layout import Entry, Group, in_order
from osakd.report.pooled import pooled
from osakd.report.rivals import RIVALS
from osakd.report.verdicts import PaperCell


@dataclass(frozen=True)
class PlannedColumn:
    """A column of an experiment.

    Attributes:
        experiment: name of the experiment's folder.
        title: of the experiment.
        name: of the column's folder.
        cells: in the order of the table's rows.
        seeds: how many.
        epochs: of each run.
        chose: seeds that had a part in choosing the cells.
        rivals: labels of the cells that all others are compared with by validation.
        kind: ``paper`` where the paper has numbers for it, ``readings`` where validation chooses.
    """

    experiment: str
    title: str
    name: str
    cells: tuple[PaperCell, ...]
    seeds: int
    epochs: int
    kind: Literal["paper", "readings"]
    chose: tuple[int, ...] = ()
    rivals: tuple[str, ...] = RIVALS


@dataclass(frozen=True)
class Column:
    """What is recorded of a column or a comparison, beside what was planned.

    Attributes:
        experiment: name of the folder above.
        name: of its folder.
        entries: its runs, in order.
        plan: None for a comparison of one's own.
        summary: of the finished runs, None where there are none.
    """

    experiment: str
    name: str
    entries: tuple[Entry, ...]
    plan: PlannedColumn | None
    summary: Summary | None

    @property
    def methods(self) -> list[MethodSummary]:
        """The summaries of its methods."""
        return self.summary.methods if self.summary else []

    @property
    def finished(self) -> list[tuple[str, Path]]:
        """Label and folder of each finished run that is pooled."""
        return pooled((entry.label, entry.folder) for entry in self.entries if entry.result is not None)

    @property
    def planned(self) -> list[tuple[str, Path]]:
        """Those of them that an experiment made: their folders are called by label and seed."""
        seeds = {entry.folder: entry.seed for entry in self.entries}
        return [(label, folder) for label, folder in self.finished if folder.name == f"{label}-seed{seeds[folder]}"]

    @property
    def by_validation(self) -> bool:
        """Whether validation chooses: it was planned so, and every run has held images out."""
        chosen = bool(self.methods) and all("validation" in method.values for method in self.methods)
        return chosen and self.plan is not None and self.plan.kind == "readings"

    @property
    def cells(self) -> tuple[PaperCell, ...]:
        """What was planned."""
        return self.plan.cells if self.plan else ()

    @property
    def wanted(self) -> tuple[int, int] | None:
        """Seeds and epochs that were planned."""
        return (self.plan.seeds, self.plan.epochs) if self.plan else None

    def find(self, label: str) -> MethodSummary | None:
        """The summary of a method, None where it has no finished run."""
        return next((method for method in self.methods if method.label == label), None)


def columns_of(groups: Sequence[Group], plans: Sequence[PlannedColumn]) -> list[Column]:
    """Every group beside its plan, the experiments in the order of the plans, and the planned columns not run.

    A column that was never run is shown where the report is of the folder above it: the other columns of a table with
    the table, the other tables of the paper with all records.
    """
    planned = {(plan.experiment, plan.name): plan for plan in plans}
    known = [group for group in groups if (group.experiment, group.name) in planned]
    tables = {group.experiment for group in known if group.depth >= 1}
    whole = any(group.depth >= 2 for group in known)
    found = {(group.experiment, group.name): group for group in groups}
    columns = []
    for place, plan in planned.items():
        if place in found:
            columns.append(_column(found.pop(place), plan))
        elif plan.kind == "paper" and (whole or plan.experiment in tables):
            columns.append(Column(*place, (), plan, None))
    return columns + [_column(_renamed(group), None) for group in found.values()]


def _renamed(group: Group) -> Group:
    """The folder above the report's own is the user's affair: it may have their name."""
    return replace(group, experiment="comparison") if group.depth == 0 and group.experiment != "run" else group


def _column(group: Group, plan: PlannedColumn | None) -> Column:
    entries = in_order(group.entries, [cell.label for cell in plan.cells]) if plan else group.entries
    finished = [(entry.label, entry.folder) for entry in entries if entry.result is not None]
    baselines = {cell.label: cell.baseline for cell in plan.cells} if plan else {}
    summary = summarise(group.name, finished, baselines) if finished else None
    return Column(group.experiment, group.name, entries, plan, summary)
