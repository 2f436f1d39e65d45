"""Our numbers beside the paper's, with a word for each: reproduced, better, worse, too few runs, not run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance

from osakd.plan import BASELINE, Cell
from osakd.report.statistics.aggregate import MethodSummary
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import with_less
from osakd.report.statistics.spread import CONFIDENCE, FEWEST_SEEDS, paired_by_seed, spread

PAPER_RUNS = 5


@dataclass(frozen=True)
class PaperRow:
    """A cell beside what is recorded of it.

    Attributes:
        cell: the cell; one without a published number for what was not planned.
        method: its summary; None where it has no finished run.
        smaller: what of its runs is smaller than planned, as a list.
    """

    cell: Cell
    method: MethodSummary | None
    smaller: str = ""

    @property
    def name(self) -> str:
        """The cell's label, and what is averaged."""
        averaged = self.cell.averaged
        return self.cell.label + (f" (mean of {1 + len(averaged)} branches)" if averaged else "")

    @property
    def verdict(self) -> str:
        """How ours compares with the paper's number, and what is smaller."""
        if self.method is None:
            return "not run"
        published, values = self.cell.published, [100 * value for value in self.method.values["best_on_test"]]
        word = verdict(values, published.mean, published.std) if published else "not in the paper"
        return with_less(word, self.smaller)


def paper_rows(column: RecordedColumn) -> list[PaperRow]:
    """The planned cells of a column beside what is recorded of them."""
    cells = [(cell, measured(cell, column.methods)) for cell in column.cells]
    return [PaperRow(cell, method, column.smaller(method) if method else "") for cell, method in cells]


def other_rows(column: RecordedColumn) -> list[PaperRow]:
    """What is recorded without having been planned: methods of one's own, branches, ensembles."""
    planned = {cell.label for cell in column.cells}
    others = [method for method in column.methods if method.label not in planned]
    return [PaperRow(Cell(method.label, method.method), method, column.smaller(method)) for method in others]


def verdict(ours: Sequence[float], mean: float, std: float) -> str:
    r"""How our runs compare with a published mean and standard deviation over 5 runs.

    *Reproduced* means that the 95 % interval of the difference of the means (Welch's t) includes zero:

    .. math:: \bar x - \mu \pm t_{0.975,\,\nu} \sqrt{s^2 / n + \sigma^2 / 5}

    with Welch and Satterthwaite's :math:`\nu`. Fewer than 3 runs decide nothing.

    Args:
        ours: values of our runs, in the unit of the published ones.
        mean: published mean.
        std: published standard deviation, above 0.

    Example:
        >>> verdict([64.3, 64.9, 64.7], 64.734, 0.654), verdict([66.9, 67.1, 67.0], 64.734, 0.654)
        ('reproduced', 'better')
    """
    count = len(ours)
    if count < FEWEST_SEEDS:
        return "too few runs"
    own, theirs = variance(ours) / count, std**2 / PAPER_RUNS
    freedom = (own + theirs) ** 2 / (own**2 / (count - 1) + theirs**2 / (PAPER_RUNS - 1))
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(own + theirs)
    difference = fmean(ours) - mean
    if abs(difference) <= half:
        return "reproduced"
    return "better" if difference > 0 else "worse"


def missing(column: RecordedColumn) -> str:
    """How many planned runs are missing, as a sentence; empty where none is."""
    number = missing_runs(column)
    return f"Missing: {number} of {planned_runs(column)} runs." if number else ""


def planned_runs(column: RecordedColumn) -> int:
    """How many runs were planned."""
    return column.plan.seeds * len(column.cells) if column.plan else 0


def missing_runs(column: RecordedColumn) -> int:
    """How many planned runs are missing. More seeds of one cell do not make up for those of another."""
    seeds = column.plan.seeds if column.plan else 0
    summaries = [measured(cell, column.methods) for cell in column.cells]
    return sum(max(0, seeds - (len(one.seeds) if one else 0)) for one in summaries)


def other_baselines(column: RecordedColumn) -> str:
    """Which recorded cells are not compared with plain training, as a sentence; empty where none is."""
    labels = {method.label for method in column.methods}
    other = [cell for cell in column.cells if cell.baseline != BASELINE and cell.label in labels]
    pairs = [f"{cell.label} to {cell.baseline}" for cell in other]
    return f"Differences not to {BASELINE}: {', '.join(pairs)}." if pairs else ""


def measured(cell: Cell, methods: Sequence[MethodSummary]) -> MethodSummary | None:
    """What is recorded of a cell: its deployed network, or the mean of that and what is averaged with it."""
    by_label = {method.label: method for method in methods}
    names = [cell.label, *(f"{cell.label}: {part}" for part in cell.averaged)]
    if any(name not in by_label for name in names):
        return None
    deployed, *others = (by_label[name] for name in names)
    if not others:
        return deployed
    curves = [
        [fmean(accuracies) for accuracies in zip(*of_one_seed, strict=True)]
        for of_one_seed in zip(*(method.curves for method in (deployed, *others)), strict=True)
    ]
    values = {"best_on_test": [max(curve) for curve in curves], "last": [curve[-1] for curve in curves]}
    averaged = replace(
        deployed, curves=curves, values=values, spreads={key: spread(ones) for key, ones in values.items()}
    )
    other = by_label.get(cell.baseline)
    differences = {key: paired_by_seed(averaged.by_seed(key), other.by_seed(key)) for key in values} if other else {}
    return replace(averaged, differences={key: one for key, one in differences.items() if one})
