"""The study of the readings: every cell by its validation scores, with what the test set says beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from osakd.records import read_metrics
from osakd.report.aggregate import Summary, paired_difference, spread
from osakd.report.claims import wobble
from osakd.report.tables import markdown_table, nats, percent, points, title


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
        wobble: standard deviation of the test accuracy over the last 10 epochs.
    """

    validation: float
    validation_nll: float
    validation_ece: float
    test: float
    best_on_test: float
    last: float
    wobble: float


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
        wobble=wobble(scored),
    )


def readings_text(summary: Summary, runs: Sequence[tuple[str, Path]]) -> str:
    """A column of the study as Markdown, the best validation accuracy first.

    Args:
        summary: of its finished runs.
        runs: label and folder of each.
    """
    return f"**{summary.name}: {title(summary)}**\n\n{markdown_table(*readings_rows(runs)).rstrip()}"


def readings_rows(runs: Sequence[tuple[str, Path]]) -> tuple[list[str], list[list[str]]]:
    """The head and a row for each reading, the best validation accuracy first.

    Args:
        runs: label and folder of each finished run.
    """
    found = read_readings(runs)
    plain = dict(found.get("plain", []))
    head = ["reading", "n", "validation %", "vs plain [95 % CI]", "NLL", "ECE %", "test there %", "best on test %"]
    head += ["last epoch %", "std of last 10"]
    rows = []
    for label in _by_validation(found):
        ones = [one for _, one in found[label]]
        pairs = [(one.validation, plain[seed].validation) for seed, one in found[label] if seed in plain]
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        rows.append(
            [
                label,
                str(len(ones)),
                percent(spread([one.validation for one in ones])),
                points(paired_difference(ours, theirs)) if pairs and label != "plain" else "-",
                nats(spread([one.validation_nll for one in ones])),
                percent(spread([one.validation_ece for one in ones])),
                *(percent(spread([getattr(one, key) for one in ones])) for key in ("test", "best_on_test", "last")),
                f"{100 * fmean(one.wobble for one in ones):.2f}",
            ]
        )
    return head, rows


def best_reading(runs: Sequence[tuple[str, Path]]) -> str:
    """Which reading validation chooses, in words.

    Args:
        runs: label and folder of each finished run.
    """
    found = read_readings(runs)
    best, *_ = _by_validation(found)
    ones = [one for _, one in found[best]]
    plain = [one for _, one in found.get("plain", [])]
    beside = f"; plain training has {percent(spread([one.validation for one in plain]))} %" if plain else ""
    return (
        f"of {len(found)} readings, {best} has the best validation accuracy, "
        f"{percent(spread([one.validation for one in ones]))} % (n = {len(ones)}), and with it "
        f"{percent(spread([one.test for one in ones]))} % on test{beside}"
    )


def read_readings(runs: Sequence[tuple[str, Path]]) -> dict[str, list[tuple[int, Reading]]]:
    """Seed and reading of each run, by label."""
    found: dict[str, list[tuple[int, Reading]]] = {}
    for label, folder in runs:
        seed = int(folder.name.rpartition("-seed")[2])
        found.setdefault(label, []).append((seed, reading_of(read_metrics(folder))))
    return found


def _by_validation(found: dict[str, list[tuple[int, Reading]]]) -> list[str]:
    return sorted(found, key=lambda label: -fmean(one.validation for _, one in found[label]))
