"""The study of the readings: every cell by its validation scores, with what the test set says beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from osakd.report.aggregate import BASELINE, Difference, Summary, paired_difference, spread
from osakd.report.claims import FEWEST_PAIRS, LAST_EPOCHS, counted, std_of_last_epochs
from osakd.report.pooled import read_runs, smaller_curves
from osakd.report.tables import markdown_table, nats, percent, points, title
from osakd.report.verdicts import PaperCell, missing, other_baselines


@dataclass(frozen=True)
class Reading:
    """A run's scores at the epoch of its best validation accuracy, and what came of it; shares, NLL in nats.

    Attributes:
        validation: best validation accuracy.
        validation_nll: at that epoch.
        validation_ece: at that epoch.
        test: test accuracy at that epoch.
        best_on_test: over the epochs.
        last: of the last epoch.
        std_of_last_epochs: standard deviation of the test accuracy over the last 10 epochs.
        counted: over how many it is taken, where there are fewer.
    """

    validation: float
    validation_nll: float
    validation_ece: float
    test: float
    best_on_test: float
    last: float
    std_of_last_epochs: float
    counted: int


def reading_of(rows: Sequence[dict[str, Any]]) -> Reading:
    """From the rows of a learning curve with a validation split."""
    scored = [row for row in rows if "validation" in row]
    chosen = max(scored, key=lambda row: row["validation"]["accuracy"])
    tests = [row["test"]["accuracy"] for row in scored]
    return Reading(
        validation=chosen["validation"]["accuracy"],
        validation_nll=chosen["validation"]["nll"],
        validation_ece=chosen["validation"]["ece"],
        test=chosen["test"]["accuracy"],
        best_on_test=max(tests),
        last=tests[-1],
        std_of_last_epochs=std_of_last_epochs(scored),
        counted=counted(scored),
    )


def readings_text(
    summary: Summary, runs: Sequence[tuple[str, Path]], cells: Sequence[PaperCell], *, wanted: tuple[int, int]
) -> str:
    """A column of the study as Markdown, cells with the most seeds first, of these the best, and what is missing.

    Args:
        summary: of its finished runs.
        runs: label and folder of each.
        cells: that were planned.
        wanted: seeds and epochs that were planned.
    """
    table = markdown_table(*readings_rows(runs, cells, wanted)).rstrip()
    notes = [other_baselines(cells, summary.methods), missing(cells, summary.methods, wanted[0])]
    return "\n\n".join(filter(None, [f"**{summary.name}: {title(summary)}**", table, *notes]))


def readings_rows(
    runs: Sequence[tuple[str, Path]], cells: Sequence[PaperCell] = (), wanted: tuple[int, int] | None = None
) -> tuple[list[str], list[list[str]]]:
    """The head and a row for each cell: those with the most seeds first, of these the best validation accuracy.

    Args:
        runs: label and folder of each finished run.
        cells: that were planned, with what each is compared with.
        wanted: seeds and epochs that were planned; what is smaller is said beside the number of runs.
    """
    curves, found = read_runs(runs), read_readings(runs)
    head = ["cell", "n", "validation %", "vs plain [95 % CI]", "NLL", "ECE %", "test there %", "best on test %"]
    head += ["last epoch %", f"std of last {LAST_EPOCHS}"]
    rows = []
    for label in _by_validation(found):
        ones = list(found[label].values())
        fewest = min(one.counted for one in ones)
        rows.append(
            [
                label,
                f"{len(ones)}{smaller_curves(curves[label].values(), len(ones), wanted)}",
                percent(spread([one.validation for one in ones])),
                points(_gain(found, label, _baseline(cells, label)), len(ones)),
                nats(spread([one.validation_nll for one in ones])),
                percent(spread([one.validation_ece for one in ones])),
                *(percent(spread([getattr(one, key) for one in ones])) for key in ("test", "best_on_test", "last")),
                f"{100 * fmean(one.std_of_last_epochs for one in ones):.2f}"
                + f" (of {fewest})" * (fewest < LAST_EPOCHS),
            ]
        )
    return head, rows


def best_reading(
    runs: Sequence[tuple[str, Path]], cells: Sequence[PaperCell] = (), wanted: tuple[int, int] | None = None
) -> str:
    """Which cell validation chooses, in words, beside what it is compared with.

    Args:
        runs: label and folder of each finished run.
        cells: that were planned, with what each is compared with.
        wanted: seeds and epochs that were planned; what is smaller is said.
    """
    found = read_readings(runs)
    best, *_ = _by_validation(found)
    less = smaller_curves(read_runs(runs)[best].values(), len(found[best]), wanted).strip(" ()")
    of_all = f"of {len(found)} cell{'s' * (len(found) > 1)}"
    said = [f"{of_all}, validation chooses {best}: {_both(found[best])}, {less or f'n = {len(found[best])}'}"]
    other = _baseline(cells, best)
    gain = _gain(found, best, other)
    if gain is not None:
        said += [f"{other}: {_both(found[other])}", _decided(gain)]
    return "; ".join(said)


def read_readings(runs: Sequence[tuple[str, Path]]) -> dict[str, dict[int, Reading]]:
    """The reading of each run that is pooled, by label and seed."""
    return {
        label: {seed: reading_of(curve.rows) for seed, curve in curves.items()}
        for label, curves in read_runs(runs).items()
    }


def _by_validation(found: dict[str, dict[int, Reading]]) -> list[str]:
    """Cells with the most seeds first, for seeds differ as much as cells do; of these the best mean first."""
    return sorted(
        found, key=lambda label: (-len(found[label]), -fmean(one.validation for one in found[label].values()))
    )


def _baseline(cells: Sequence[PaperCell], label: str) -> str:
    return next((cell.baseline for cell in cells if cell.label == label), BASELINE)


def _gain(found: dict[str, dict[int, Reading]], label: str, other: str) -> Difference | None:
    """The paired difference of the validation accuracies; None of a cell to itself, and without a common seed."""
    ours, theirs = found[label], found.get(other, {})
    seeds = [seed for seed in ours if seed in theirs and label != other]
    if not seeds:
        return None
    return paired_difference([ours[seed].validation for seed in seeds], [theirs[seed].validation for seed in seeds])


def _both(ones: dict[int, Reading]) -> str:
    validation, test = (percent(spread([getattr(one, key) for one in ones.values()])) for key in ("validation", "test"))
    return f"{validation} % on validation, {test} % on test"


def _decided(gain: Difference) -> str:
    if gain.n < FEWEST_PAIRS:
        return f"undecided by {gain.n} seed{'s' * (gain.n > 1)}"
    return f"a difference of {points(gain)} points on validation, n = {gain.n}"
