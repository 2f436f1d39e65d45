"""Our numbers beside the paper's, with a word for each: reproduced, better, worse, too few runs, not run."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, variance

from osakd.report.aggregate import CONFIDENCE, MethodSummary, summarise
from osakd.report.tables import markdown_table, percent, points, title

PAPER_RUNS = 5
FEWEST_RUNS = 3
"""With fewer there is no verdict: the interval would hold almost anything."""


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


def column_text(
    data: str,
    methods: Sequence[str],
    runs: Sequence[tuple[str, Path]],
    published: Mapping[str, tuple[float, float]],
    *,
    wanted: tuple[int, int],
) -> str:
    """A column of a table of the paper as Markdown: what was recorded on which images, the table, what is missing.

    Args:
        data: name of the column's data set.
        methods: labels, in order.
        runs: label and folder of each finished run.
        published: mean and standard deviation of the paper, in per cent, by label.
        wanted: seeds and epochs in the paper.
    """
    summary = summarise(data, runs) if runs else None
    found = {method.label: method for method in summary.methods} if summary else {}
    epochs = {label: method.epochs[-1] for label, method in found.items()}
    head, rows = beside_the_paper(methods, found, published, epochs, wanted=wanted)
    missing = wanted[0] * len(methods) - len(runs)
    lines = [f"## {title(summary) if summary else data}", markdown_table(head, rows).rstrip()]
    if missing > 0:
        lines.append(f"Missing: {missing} of {wanted[0] * len(methods)} runs.")
    return "\n\n".join(lines)


def beside_the_paper(
    methods: Sequence[str],
    found: Mapping[str, MethodSummary],
    published: Mapping[str, tuple[float, float]],
    epochs: Mapping[str, int],
    *,
    wanted: tuple[int, int],
) -> tuple[list[str], list[list[str]]]:
    """A column of a table of the paper: the head and a row for each method.

    Args:
        methods: labels, in order.
        found: what is recorded, by label.
        published: mean and standard deviation of the paper, in per cent, by label.
        epochs: of the recorded runs, by label.
        wanted: seeds and epochs in the paper; fewer are said in the verdict.
    """
    head = ["method", "n", "epochs", "best on test %", "paper %", "verdict", "vs plain [95 % CI]", "last epoch %"]
    rows = []
    for label in methods:
        theirs = published.get(label)
        paper = f"{theirs[0]:.2f} ± {theirs[1]:.2f}" if theirs else "-"
        if label not in found:
            rows.append([label, "0", "-", "-", paper, "not run", "-", "-"])
            continue
        method = found[label]
        values = method.values["best_on_test"]
        word = verdict([100 * value for value in values], *theirs) if theirs else "not in the paper"
        rows.append(
            [
                label,
                str(len(values)),
                str(epochs[label]),
                percent(method.spreads["best_on_test"]),
                paper,
                word + _smaller(len(values), epochs[label], wanted) * bool(theirs),
                points(method.differences.get("best_on_test")),
                percent(method.spreads["last"]),
            ]
        )
    return head, rows


def _smaller(seeds: int, epochs: int, wanted: tuple[int, int]) -> str:
    """What is smaller than in the paper."""
    less = [f"{seeds} of {wanted[0]} seeds"] * (seeds < wanted[0])
    less += [f"{epochs} of {wanted[1]} epochs"] * (epochs < wanted[1])
    return f" ({', '.join(less)})" if less else ""
