"""Against label smoothing, and other cells that all are compared with: what each gains, by validation scores alone."""

from collections.abc import Sequence
from pathlib import Path

from osakd.report.aggregate import Difference, paired_difference
from osakd.report.claims import FEWEST_PAIRS
from osakd.report.pooled import read_runs, smaller_curves
from osakd.report.readings import Reading, read_readings
from osakd.report.tables import markdown_table, points

RIVALS = ("label-smoothing",)
HEAD = ["cell", "n", "validation accuracy", "NLL", "ECE", "verdict"]
_SCORES = {"validation": 1, "validation_nll": -1, "validation_ece": -1}
"""What is compared, and whether more is better."""


def rivals_text(
    runs: Sequence[tuple[str, Path]],
    wanted: tuple[int, int],
    chose: Sequence[int] = (),
    rivals: Sequence[str] = RIVALS,
) -> str:
    """What every reading gains on its rivals, paired by seed, as Markdown; empty where nothing can be compared.

    Args:
        runs: label and folder of each finished run.
        wanted: seeds and epochs that were planned; what is smaller is said beside the number of pairs.
        chose: seeds that had a part in choosing the cells; a second table leaves them out.
        rivals: labels of the cells that all are compared with.
    """
    tables = []
    for rival, left_out in pairings(rivals, chose):
        rows = rivals_rows(runs, rival, wanted, left_out)
        if rows:
            about = f"Against {rival}{without(left_out)}, at the epoch of the best validation accuracy:"
            tables.append(f"{about}\n\n{markdown_table(HEAD, rows).rstrip()}")
    return "\n\n".join(tables)


def pairings(rivals: Sequence[str], chose: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
    """Each rival with all seeds, and without those that chose the cells.

    Example:
        >>> pairings(("label-smoothing",), (0, 1)), pairings(("a", "b"), ())
        ([('label-smoothing', ()), ('label-smoothing', (0, 1))], [('a', ()), ('b', ())])
    """
    return [(rival, left_out) for rival in rivals for left_out in dict.fromkeys(((), tuple(chose)))]


def without(chose: Sequence[int]) -> str:
    """Which seeds are left out, in words.

    Example:
        >>> without((0, 1)), without(())
        (', without the seeds that chose the cells (0, 1)', '')
    """
    return f", without the seeds that chose the cells ({', '.join(map(str, chose))})" if chose else ""


def rivals_rows(
    runs: Sequence[tuple[str, Path]], rival: str, wanted: tuple[int, int] | None = None, chose: Sequence[int] = ()
) -> list[list[str]]:
    """A row under ``HEAD`` for every reading with three common seeds: accuracy and ECE in points, NLL in nats.

    The best validation accuracy's epoch is taken on both sides.

    Args:
        runs: label and folder of each finished run.
        rival: label of the cell that all are compared with.
        wanted: as ``rivals_text``; None where nothing was planned.
        chose: seeds to leave out.
    """
    curves, found = read_runs(runs), read_readings(runs)
    theirs = found.pop(rival, {})
    rows = []
    for label, ones in found.items():
        seeds = [seed for seed in ones if seed in theirs and seed not in chose]
        if len(seeds) >= FEWEST_PAIRS:
            gains = [_gain([ones[seed] for seed in seeds], [theirs[seed] for seed in seeds], key) for key in _SCORES]
            accuracy, nll, ece = gains
            both = [*curves[label].values(), *curves[rival].values()]
            least = wanted and (wanted[0] - len(chose), wanted[1])
            n = f"{len(seeds)}{smaller_curves(both, len(seeds), least)}"
            rows.append([label, n, points(accuracy), _nats(nll), points(ece), verdict(gains)])
    return rows


def verdict(gains: Sequence[Difference]) -> str:
    """Whether a reading beats its rival: in validation accuracy, NLL and ECE, each beyond its 95 % interval.

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
