"""The tables of a report, as text in rows: the same for the page, Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from osakd.records import Result, RunConfig
from osakd.report.aggregate import BASELINE, MethodSummary, Spread
from osakd.report.plan import Column
from osakd.report.pooled import smaller
from osakd.report.tables import nats, percent, points
from osakd.report.verdicts import PaperCell, measured, other_baselines, verdict


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        title: what it shows.
        head: of its columns.
        rows: cells as text, ``-`` for none.
        methods: the method of each row, where rows are methods.
        note: what its reader must know.
        text: columns that hold words, not numbers.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    methods: list[str] = field(default_factory=list)
    note: str = ""
    text: tuple[int, ...] = (0,)


def accuracy_grid(column: Column) -> Grid:
    """Ours beside the paper's: best on test, last epoch, chosen on validation, differences to plain training."""
    paper = any(cell.published for cell in column.plan.cells) if column.plan else False
    head = ["method", "n", "epochs", "best on test %"]
    head += ["paper %", "verdict"] if paper else []
    head += ["last epoch %", "chosen on validation %", "best vs plain [95 % CI]", "last vs plain [95 % CI]"]
    rows, names = [], []
    for cell, method in _cells(column):
        numbers = _accuracies(method)
        words = _beside(column, cell, method) if paper else []
        rows.append([_name(cell), *numbers[:3], *words, *numbers[3:]])
        names.append(cell.label)
    note = "Best on test is chosen on the test set" + (", the paper's protocol" if paper else "")
    note += "; the last epoch and what validation chose are not."
    if any("first_epochs" in method.settings for method in column.methods):
        note += " Epochs: of the last stage."
    note = f"{note} {other_baselines(column.cells, column.methods)}".rstrip()
    return Grid("Test accuracy", head, rows, names, note, (0, 5) if paper else (0,))


def score_grid(column: Column) -> Grid:
    """Calibration of the last epoch, and what a run cost."""
    head = ["method", "n", "NLL", "ECE %", "seconds"]
    note = "Scores of the last epoch on the test set. Seconds of a whole run, its share where several went on in one "
    note += "program, without the stages before it"
    costed = any("step_ms" in method.spreads for method in column.methods)
    if costed:
        head += ["step ms", "x plain", "MiB"]
        note += "; step: the median time of a training step; a step's time is a run's share where several went on in "
        note += "one program; x plain: of runs made alone, with plain training's batch size; MiB: a run's peak memory"
    rows, names = [], []
    for method in column.methods:
        scores = [nats(method.spreads["nll"]), percent(method.spreads["ece"])]
        costs = _costs(column, method) if method.predictor is None else ["-"] * 4
        rows.append([method.label, str(len(method.seeds)), *scores, *costs[: 4 if costed else 1]])
        names.append(_run_of(method))
    return Grid("Calibration and cost", head, rows, names, f"{note}.")


def _costs(column: Column, method: MethodSummary) -> list[str]:
    """Seconds of a run, time of a step, the same over plain training's, memory."""
    runs, plain = _pooled(column, method.label), column.find(BASELINE)
    step, beside = (one.spreads.get("step_ms") if one else None for one in (method, plain))
    comparable = _alone(runs + _pooled(column, BASELINE))
    return [
        f"{fmean(result.seconds for _, result in runs):,.0f}",
        f"{step.mean:.1f}" if step else "-",
        f"{step.mean / beside.mean:.2f}" if step and beside and comparable else "-",
        f"{method.spreads['memory_mib'].mean:.1f}" if step else "-",
    ]


def _pooled(column: Column, label: str) -> list[tuple[RunConfig, Result]]:
    """Configuration and result of the runs that a method's means are taken over."""
    folders = {folder for _, folder in column.finished}
    found = [one for one in column.entries if one.label == label and one.folder in folders]
    return [(one.config, one.result) for one in found if one.config and one.result]


def _alone(runs: Sequence[tuple[RunConfig, Result]]) -> bool:
    """Whether every run had its own program and all the same batch size: only then can their steps be compared."""
    fused = any(str(result.environment.get("executor")).startswith("fused") for _, result in runs)
    return not fused and len({config.batch_size for config, _ in runs}) == 1


def _cells(column: Column) -> list[tuple[PaperCell, MethodSummary | None]]:
    """The planned rows, then what else is recorded: methods of one's own, branches, ensembles."""
    planned = list(column.plan.cells) if column.plan else []
    rows = [(cell, measured(cell, column.methods)) for cell in planned]
    labels = {cell.label for cell in planned}
    return rows + [(PaperCell(m.label, None), m) for m in column.methods if m.label not in labels]


def _name(cell: PaperCell) -> str:
    return cell.label + (f" (mean of {1 + len(cell.averaged)} branches)" if cell.averaged else "")


def _run_of(method: MethodSummary) -> str:
    """The label of the run that a summary is of: a branch's is ``one: branch2``."""
    return method.label.removesuffix(f": {method.predictor}") if method.predictor else method.label


def _accuracies(method: MethodSummary | None) -> list[str]:
    if method is None:
        return ["0", "-", "not run", "-", "-", "-", "-"]
    spreads: dict[str, Spread] = method.spreads
    return [
        str(len(method.seeds)),
        str(method.trained),
        percent(spreads["best_on_test"]),
        percent(spreads["last"]),
        percent(spreads.get("chosen_on_validation")),
        points(method.differences.get("best_on_test"), len(method.seeds)),
        points(method.differences.get("last"), len(method.seeds)),
    ]


def _beside(column: Column, cell: PaperCell, method: MethodSummary | None) -> list[str]:
    """The paper's number, and the word for ours."""
    paper = f"{cell.published[0]:.2f} ± {cell.published[1]:.2f}" if cell.published else "-"
    if method is None or column.plan is None or column.summary is None:
        return [paper, "not run"]
    values = [100 * value for value in method.values["best_on_test"]]
    word = verdict(values, *cell.published) if cell.published else "not in the paper"
    return [paper, word + smaller_than_planned(column, method)]


def smaller_than_planned(column: Column, method: MethodSummary) -> str:
    """What of a method's runs is smaller than it was planned, in brackets."""
    if column.wanted is None or column.summary is None:
        return ""
    fraction = column.summary.configuration["fraction"]
    return smaller(len(method.seeds), method.trained, column.wanted, fraction)
