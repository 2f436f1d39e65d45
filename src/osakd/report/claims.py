"""The paper's claims beyond its tables, each with the number that decides it and a verdict."""

from collections.abc import Callable, Mapping
from statistics import stdev

from osakd.report.aggregate import Difference, paired_difference
from osakd.report.pooled import Rows, Runs, smaller_curves
from osakd.report.tables import points

HOLDS, FAILS, OPEN, SAME, UNTESTED = "holds", "does not hold", "not told apart", "no difference", "not tested"
LAST_EPOCHS = 10
"""Over how many the stability of a run is taken."""
FEWEST_PAIRS = 3
OURS = "osakd-8nn"
_FEW = "8 neighbours serve 10 classes better than 16, best epoch"
_NEIGHBOURS = {"tiny_imagenet": "16 neighbours serve 200 classes better than 8, best epoch"}
HEAD = ["claim", "where", "number [95 % CI]", "verdict"]
OWN = "ours: "
"""How a row begins that is our question, not the paper's claim."""


def std_of_last_epochs(rows: Rows) -> float:
    """Standard deviation of the test accuracy over the last 10 epochs, or those that there are.

    Example:
        >>> round(std_of_last_epochs([{"test": {"accuracy": value}} for value in (0.1, 0.5, 0.6)]), 3)
        0.265
    """
    last = _accuracies(rows)[-LAST_EPOCHS:]
    return stdev(last) if len(last) > 1 else 0.0


def drop(rows: Rows) -> float:
    """The best test accuracy minus the last."""
    return max(_accuracies(rows)) - _accuracies(rows)[-1]


def counted(rows: Rows) -> int:
    """Over how many epochs ``std_of_last_epochs`` is taken."""
    return min(LAST_EPOCHS, len(_accuracies(rows)))


def claims(
    columns: Mapping[str, Runs], gains: Mapping[str, float], wanted: Mapping[str, tuple[int, int]]
) -> list[list[str]]:
    """The claims that the runs of Table I decide, a row for each and each column.

    Args:
        columns: the runs by column.
        gains: the paper's gain of OSAKD-8NN over plain training, in points, by column.
        wanted: the paper's seeds and epochs, by column; what is smaller is said beside the verdict.

    Returns:
        Rows under ``HEAD``; differences in points.
    """
    rows = []
    for name, runs in columns.items():
        if _paired(runs, (OURS, "plain"), _best) is None:
            rows.append(["every claim on its runs", name, "-", UNTESTED])
            continue
        last = min(counted(curve.rows) for label in (OURS, "plain") for curve in runs[label].values())
        with_plain, plain_with, with_smoothing = (OURS, "plain"), ("plain", OURS), (OURS, "label-smoothing")
        found = [
            (f"OSAKD-8NN gains {gains[name]:+.2f} at the best epoch", with_plain, _best),
            (f"{OWN}OSAKD-8NN gains at the last epoch", with_plain, _last),
            (f"more stable: std of the last {last} epochs, plain - OSAKD", plain_with, std_of_last_epochs),
            ("more stable: best minus last epoch, plain - OSAKD", plain_with, drop),
            (f"{OWN}more stable with label smoothing: best minus last epoch", ("plain", "label-smoothing"), drop),
            ("labels grow reliable: true-class mass, last - first epoch", (OURS, OURS), None),
            (_NEIGHBOURS.get(name, _FEW), _more_or_fewer(name), _best),
            (f"{OWN}more than label smoothing, best epoch", with_smoothing, _best),
            (f"{OWN}more than label smoothing, last epoch", with_smoothing, _last),
        ]
        least = [gains[name] / 100, *[0.0] * (len(found) - 1)]
        for (claim, labels, value), gain in zip(found, least, strict=True):
            difference = _grown(runs) if value is None else _paired(runs, labels, value)
            rows.append([claim, name, *_judged(difference, gain)])
            if difference is not None:
                curves = [curve for label in labels for curve in runs[label].values()]
                rows[-1][-1] += smaller_curves(curves, difference.n, wanted[name])
    return rows


def _judged(found: Difference | None, least: float) -> list[str]:
    """Number and verdict: a claim holds where the interval is above zero and reaches what was claimed."""
    if found is None or found.n < FEWEST_PAIRS or found.low is None or found.high is None:
        return [points(found), UNTESTED]
    if found.high < least or found.high < 0:
        word = FAILS
    elif found.low > 0:
        word = HOLDS
    else:
        word = SAME if found.low == found.high else OPEN
    return [f"{points(found)}, n = {found.n}", word]


def _more_or_fewer(name: str) -> tuple[str, str]:
    """The number of neighbours that the paper has for the classes of a column, and the other one."""
    return ("osakd-16nn", OURS) if name in _NEIGHBOURS else (OURS, "osakd-16nn")


def _grown(runs: Runs) -> Difference:
    """How much the true-class mass of the soft labels grew from the first to the last epoch."""
    ends = [(curve.rows[-1], curve.rows[0]) for curve in runs[OURS].values()]
    masses = [[row["train"]["soft_label_mass"] for row in pair] for pair in ends]
    return paired_difference([last for last, _ in masses], [first for _, first in masses])


def _paired(runs: Runs, labels: tuple[str, str], value: Callable[[Rows], float]) -> Difference | None:
    ours, theirs = (runs.get(label, {}) for label in labels)
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        return None
    return paired_difference([value(ours[seed].rows) for seed in seeds], [value(theirs[seed].rows) for seed in seeds])


def _accuracies(rows: Rows) -> list[float]:
    return [row["test"]["accuracy"] for row in rows if "test" in row]


def _best(rows: Rows) -> float:
    return max(_accuracies(rows))


def _last(rows: Rows) -> float:
    return _accuracies(rows)[-1]
