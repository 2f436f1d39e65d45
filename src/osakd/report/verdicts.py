"""Our numbers beside the paper's, with a word for each: reproduced, better, worse, too few runs, not run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance

from osakd.report.aggregate import BASELINE, CONFIDENCE, Difference, MethodSummary, Summary, paired_difference, spread
from osakd.report.pooled import smaller
from osakd.report.tables import markdown_table, percent, points, title

PAPER_RUNS = 5
FEWEST_RUNS = 3
"""With fewer there is no verdict: the interval would hold almost anything."""


@dataclass(frozen=True)
class PaperCell:
    """A row of a table of the paper.

    Attributes:
        label: of the method.
        published: mean and standard deviation, in per cent; None for what is not in the paper.
        averaged: what the method predicts beside its deployed network and the paper averages with it.
        baseline: label of the cell that differences are taken to.
    """

    label: str
    published: tuple[float, float] | None
    averaged: tuple[str, ...] = ()
    baseline: str = BASELINE


def verdict(ours: Sequence[float], mean: float, std: float) -> str:
    r"""How our runs compare with a published mean and standard deviation over 5 runs.

    *Reproduced* means that the 95 % interval of the difference of the means (Welch's t) holds zero:

    .. math:: \bar x - \mu \pm t_{0.975,\,\nu} \sqrt{s^2 / n + \sigma^2 / 5}

    with Welch and Satterthwaite's :math:`\nu`. Of fewer than 3 runs it says nothing.

    Args:
        ours: values of our runs, in the unit of the published ones.
        mean: published.
        std: published, above 0.

    Example:
        >>> verdict([64.3, 64.9, 64.7], 64.734, 0.654), verdict([66.9, 67.1, 67.0], 64.734, 0.654)
        ('reproduced', 'better')
    """
    count = len(ours)
    if count < FEWEST_RUNS:
        return "too few runs"
    own, theirs = variance(ours) / count, std**2 / PAPER_RUNS
    freedom = (own + theirs) ** 2 / (own**2 / (count - 1) + theirs**2 / (PAPER_RUNS - 1))
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(own + theirs)
    difference = fmean(ours) - mean
    if abs(difference) <= half:
        return "reproduced"
    return "better" if difference > 0 else "worse"


def column_text(name: str, cells: Sequence[PaperCell], summary: Summary | None, *, wanted: tuple[int, int]) -> str:
    """A column of a table of the paper as Markdown: what was recorded on which images, the table, what is missing.

    Args:
        name: of the column.
        cells: its rows, in order.
        summary: of its finished runs, None where there are none.
        wanted: seeds and epochs in the paper.
    """
    methods = summary.methods if summary else []
    fraction = summary.configuration["fraction"] if summary else 1.0
    table = markdown_table(*beside_the_paper(cells, methods, wanted=wanted, fraction=fraction)).rstrip()
    about = f"**{title(summary) if summary else name}**"
    lines = [about, table, other_baselines(cells, methods), missing(cells, methods, wanted[0])]
    return "\n\n".join(filter(None, lines))


def missing(cells: Sequence[PaperCell], methods: Sequence[MethodSummary], seeds: int) -> str:
    """How many runs are missing, as a sentence; empty where none is. More seeds of one cell do not make up for others.

    Args:
        cells: that were planned.
        methods: what is recorded.
        seeds: how many of each cell were planned.
    """
    number = missing_runs(cells, methods, seeds)
    return f"Missing: {number} of {seeds * len(cells)} runs." if number else ""


def missing_runs(cells: Sequence[PaperCell], methods: Sequence[MethodSummary], seeds: int) -> int:
    """How many runs are missing of the cells that were planned."""
    found = [measured(cell, methods) for cell in cells]
    return sum(max(0, seeds - (len(one.seeds) if one else 0)) for one in found)


def other_baselines(cells: Sequence[PaperCell], methods: Sequence[MethodSummary]) -> str:
    """Which recorded cells are not compared with plain training, as a sentence; empty where none is.

    Args:
        cells: that were planned.
        methods: what is recorded.
    """
    labels = {method.label for method in methods}
    pairs = [f"{cell.label} to {cell.baseline}" for cell in cells if cell.baseline != BASELINE and cell.label in labels]
    return f"Differences not to {BASELINE}: {', '.join(pairs)}." if pairs else ""


def beside_the_paper(
    cells: Sequence[PaperCell], methods: Sequence[MethodSummary], *, wanted: tuple[int, int], fraction: float = 1.0
) -> tuple[list[str], list[list[str]]]:
    """A column of a table of the paper: the head and a row for each cell.

    Args:
        cells: in order.
        methods: what is recorded.
        wanted: seeds and epochs in the paper; fewer are said in the verdict.
        fraction: share of the training images that was used; less than all is said there too.
    """
    head = ["method", "n", "epochs", "best on test %", "paper %", "verdict", "vs plain [95 % CI]", "last epoch %"]
    rows = []
    for cell in cells:
        paper = f"{cell.published[0]:.2f} ± {cell.published[1]:.2f}" if cell.published else "-"
        method = measured(cell, methods)
        if method is None:
            rows.append([cell.label, "0", "-", "-", paper, "not run", "-", "-"])
            continue
        values = method.values["best_on_test"]
        word = verdict([100 * value for value in values], *cell.published) if cell.published else "not in the paper"
        rows.append(
            [
                cell.label + (f" (mean of {1 + len(cell.averaged)} branches)" if cell.averaged else ""),
                str(len(values)),
                str(method.trained),
                percent(method.spreads["best_on_test"]),
                paper,
                word + smaller(len(values), method.trained, wanted, fraction),
                points(method.differences.get("best_on_test"), len(values)),
                percent(method.spreads["last"]),
            ]
        )
    return head, rows


def measured(cell: PaperCell, methods: Sequence[MethodSummary]) -> MethodSummary | None:
    """What is recorded of a cell: its deployed network, or the mean of that and what is averaged with it."""
    found = {method.label: method for method in methods}
    names = [cell.label, *(f"{cell.label}: {part}" for part in cell.averaged)]
    if any(name not in found for name in names):
        return None
    deployed, *others = (found[name] for name in names)
    if not others:
        return deployed
    curves = [
        [fmean(accuracies) for accuracies in zip(*of_one_seed, strict=True)]
        for of_one_seed in zip(*(method.curves for method in (deployed, *others)), strict=True)
    ]
    values = {"best_on_test": [max(curve) for curve in curves], "last": [curve[-1] for curve in curves]}
    other = found.get(cell.baseline)
    differences = {key: _paired(deployed.seeds, values[key], other, key) for key in values} if other else {}
    return replace(
        deployed,
        curves=curves,
        values=values,
        spreads={key: spread(found) for key, found in values.items()},
        differences={key: one for key, one in differences.items() if one},
    )


def _paired(seeds: list[int], ours: list[float], other: MethodSummary, key: str) -> Difference | None:
    theirs = dict(zip(other.seeds, other.values[key], strict=True))
    pairs = [(value, theirs[seed]) for seed, value in zip(seeds, ours, strict=True) if seed in theirs]
    return paired_difference([pair[0] for pair in pairs], [pair[1] for pair in pairs]) if pairs else None
