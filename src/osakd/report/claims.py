"""The paper's claims beyond its tables, each with the number that decides it and a verdict."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

from osakd.records import read_metrics
from osakd.report.aggregate import Difference, paired_difference
from osakd.report.tables import points

HOLDS, FAILS, OPEN, UNTESTED = "holds", "does not hold", "not told apart", "not tested"
LAST_EPOCHS = 10
"""Over how many the stability of a run is taken."""
FEWEST_PAIRS = 3
OURS = "osakd-8nn"
_FEW = "8 neighbours serve 10 classes better than 16, best epoch"
_NEIGHBOURS = {"tiny_imagenet": "16 neighbours serve 200 classes better than 8, best epoch"}
HEAD = ["claim", "where", "number [95 % CI]", "verdict"]

Rows = Sequence[dict[str, Any]]
Runs = Mapping[str, Mapping[int, Rows]]
"""The rows of the learning curve of each run, by label and seed."""


def read_runs(runs: Sequence[tuple[str, Path]]) -> dict[str, dict[int, Rows]]:
    """The learning curves of finished runs, from their labels and folders."""
    found: dict[str, dict[int, Rows]] = {}
    for label, folder in runs:
        found.setdefault(label, {})[int(folder.name.rpartition("-seed")[2])] = read_metrics(folder)
    return found


def wobble(rows: Rows) -> float:
    """Standard deviation of the test accuracy over the last 10 epochs.

    Example:
        >>> round(wobble([{"test": {"accuracy": value}} for value in (0.1, 0.5, 0.6)]), 3)
        0.265
    """
    last = _accuracies(rows)[-LAST_EPOCHS:]
    return stdev(last) if len(last) > 1 else 0.0


def drop(rows: Rows) -> float:
    """The best test accuracy minus the last."""
    return max(_accuracies(rows)) - _accuracies(rows)[-1]


def claims(columns: Mapping[str, Runs], gains: Mapping[str, float]) -> list[list[str]]:
    """The claims that the runs of Table I decide, a row for each and each column.

    Args:
        columns: the runs by column.
        gains: the paper's gain of OSAKD-8NN over plain training, in points, by column.

    Returns:
        Rows under ``HEAD``; differences in points.
    """
    rows = []
    for name, runs in columns.items():
        if _paired(runs, OURS, "plain", _best) is None:
            rows.append(["every claim on its runs", name, "-", UNTESTED])
            continue
        found = [
            (f"OSAKD-8NN gains {gains[name]:+.2f} at the best epoch", _paired(runs, OURS, "plain", _best)),
            ("OSAKD-8NN gains at the last epoch", _paired(runs, OURS, "plain", _last)),
            ("more stable: std of the last 10 epochs, plain - OSAKD", _paired(runs, "plain", OURS, wobble)),
            ("more stable: best minus last epoch, plain - OSAKD", _paired(runs, "plain", OURS, drop)),
            ("labels grow reliable: true-class mass, last - first epoch", _grown(runs)),
            (_NEIGHBOURS.get(name, _FEW), _paired(runs, *_more_or_fewer(name), _best)),
            ("more than label smoothing, best epoch", _paired(runs, OURS, "label-smoothing", _best)),
            ("more than label smoothing, last epoch", _paired(runs, OURS, "label-smoothing", _last)),
        ]
        least = [gains[name] / 100, *[0.0] * (len(found) - 1)]
        rows += [_row(claim, name, one, gain) for (claim, one), gain in zip(found, least, strict=True)]
    return rows


def _row(claim: str, where: str, found: Difference | None, least: float) -> list[str]:
    """A claim holds where the interval is above zero and reaches what was claimed."""
    if found is None or found.n < FEWEST_PAIRS or found.low is None or found.high is None:
        return [claim, where, points(found), UNTESTED]
    word = FAILS if found.high < least or found.high < 0 else HOLDS if found.low > 0 else OPEN
    return [claim, where, f"{points(found)}, n = {found.n}", word]


def _more_or_fewer(name: str) -> tuple[str, str]:
    """The number of neighbours that the paper has for the classes of a column, and the other one."""
    return ("osakd-16nn", OURS) if name in _NEIGHBOURS else (OURS, "osakd-16nn")


def _grown(runs: Runs) -> Difference:
    """How much the true-class mass of the soft labels grew from the first to the last epoch."""
    masses = [[row["train"]["soft_label_mass"] for row in (rows[-1], rows[0])] for rows in runs[OURS].values()]
    return paired_difference([last for last, _ in masses], [first for _, first in masses])


def _paired(runs: Runs, first: str, second: str, value: Callable[[Rows], float]) -> Difference | None:
    ours, theirs = runs.get(first, {}), runs.get(second, {})
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        return None
    return paired_difference([value(ours[seed]) for seed in seeds], [value(theirs[seed]) for seed in seeds])


def _accuracies(rows: Rows) -> list[float]:
    return [row["test"]["accuracy"] for row in rows if "test" in row]


def _best(rows: Rows) -> float:
    return max(_accuracies(rows))


def _last(rows: Rows) -> float:
    return _accuracies(rows)[-1]
