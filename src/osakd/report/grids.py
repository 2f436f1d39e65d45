"""The tables of a report, as text in rows: the same for the page, Markdown and LaTeX."""

from dataclasses import dataclass, field
from statistics import fmean

from osakd.report.aggregate import BASELINE, MethodSummary, Spread
from osakd.report.plan import Column
from osakd.report.tables import nats, percent, points
from osakd.report.verdicts import PaperCell, measured, smaller, verdict


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
    return Grid("Test accuracy", head, rows, names, note, (0, 5) if paper else (0,))


def score_grid(column: Column) -> Grid:
    """Calibration of the last epoch, and what a run cost."""
    head = ["method", "n", "NLL", "ECE %", "seconds"]
    note = "Scores of the last epoch on the test set. Seconds of a whole run, its share where several went on in one "
    note += "program, without the stages before it"
    costed = any("step_ms" in method.spreads for method in column.methods)
    if costed:
        head += ["step ms", "x plain", "MiB"]
        note += "; step: the median time of a training step; MiB: a run's peak memory"
    rows, names = [], []
    for method in column.methods:
        scores = [nats(method.spreads["nll"]), percent(method.spreads["ece"])]
        costs = _costs(column, method) if method.predictor is None else ["-"] * 4
        rows.append([method.label, str(len(method.seeds)), *scores, *costs[: 4 if costed else 1]])
        names.append(_run_of(method))
    return Grid("Calibration and cost", head, rows, names, f"{note}.")


def _costs(column: Column, method: MethodSummary) -> list[str]:
    """Seconds of a run, time of a step, the same over plain training's, memory."""
    seconds = [one.result.seconds for one in column.entries if one.label == method.label and one.result]
    steps = [one.spreads.get("step_ms") if one else None for one in (method, column.find(BASELINE))]
    own, plain = (step.mean if step else None for step in steps)
    return [
        f"{fmean(seconds):,.0f}",
        f"{own:.1f}" if own else "-",
        f"{own / plain:.2f}" if own and plain else "-",
        f"{method.spreads['memory_mib'].mean:.1f}" if own else "-",
    ]


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
        str(trained_epochs(method)),
        percent(spreads["best_on_test"]),
        percent(spreads["last"]),
        percent(spreads.get("chosen_on_validation")),
        points(method.differences.get("best_on_test")),
        points(method.differences.get("last")),
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
    if column.plan is None or column.summary is None:
        return ""
    wanted = (column.plan.seeds, column.plan.epochs)
    fraction = column.summary.configuration["fraction"]
    return smaller(len(method.seeds), trained_epochs(method), wanted, fraction)


def trained_epochs(method: MethodSummary) -> int:
    """The epochs of a method's shortest run."""
    return method.epochs[min(map(len, method.curves)) - 1]
