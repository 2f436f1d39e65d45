"""Against label smoothing: what each reading gains on it, by validation scores alone."""

from collections.abc import Sequence
from pathlib import Path

from osakd.report.aggregate import Difference, paired_difference
from osakd.report.claims import FEWEST_PAIRS
from osakd.report.readings import Reading, read_readings
from osakd.report.tables import markdown_table, points

RIVAL = "label-smoothing"
HEAD = ["cell", "n", "validation accuracy", "NLL", "ECE", "verdict"]
_SCORES = {"validation": 1, "validation_nll": -1, "validation_ece": -1}
"""What is compared, and whether more is better."""


def rivals_text(runs: Sequence[tuple[str, Path]]) -> str:
    """What every reading gains on label smoothing, paired by seed, as Markdown; empty where nothing can be compared.

    Args:
        runs: label and folder of each finished run.
    """
    rows = rivals_rows(runs)
    if not rows:
        return ""
    return f"Against {RIVAL}, at the epoch of the best validation accuracy:\n\n{markdown_table(HEAD, rows).rstrip()}"


def rivals_rows(runs: Sequence[tuple[str, Path]]) -> list[list[str]]:
    """A row under ``HEAD`` for every reading with three common seeds: accuracy and ECE in points, NLL in nats.

    The best validation accuracy's epoch is taken on both sides.

    Args:
        runs: label and folder of each finished run.
    """
    found = read_readings(runs)
    rival = found.pop(RIVAL, {})
    rows = []
    for label, ones in found.items():
        seeds = [seed for seed in ones if seed in rival]
        if len(seeds) >= FEWEST_PAIRS:
            gains = [_gain([ones[seed] for seed in seeds], [rival[seed] for seed in seeds], key) for key in _SCORES]
            accuracy, nll, ece = gains
            rows.append([label, str(len(seeds)), points(accuracy), _nats(nll), points(ece), verdict(gains)])
    return rows


def verdict(gains: Sequence[Difference]) -> str:
    """Whether a reading beats label smoothing: in validation accuracy, NLL and ECE, each beyond its 95 % interval.

    Args:
        gains: of accuracy, NLL and ECE.

    Example:
        >>> verdict([Difference(5, 0.01, 0.005, 0.015), Difference(5, -0.1, -0.2, -0.05), Difference(5, 0, -0.1, 0.1)])
        'better accuracy, NLL'
    """
    better, worse = [], []
    for name, sign, gain in zip(("accuracy", "NLL", "ECE"), _SCORES.values(), gains, strict=True):
        if gain.low is None or gain.high is None:
            continue
        if min(sign * gain.low, sign * gain.high) > 0:
            better.append(name)
        elif max(sign * gain.low, sign * gain.high) < 0:
            worse.append(name)
    if len(better) == len(gains):
        return "beats it"
    said = [f"{word} {', '.join(names)}" for word, names in (("better", better), ("worse", worse)) if names]
    return "; ".join(said) or "not told apart"


def _gain(ours: Sequence[Reading], theirs: Sequence[Reading], key: str) -> Difference:
    return paired_difference([getattr(one, key) for one in ours], [getattr(one, key) for one in theirs])


def _nats(gain: Difference) -> str:
    return f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
