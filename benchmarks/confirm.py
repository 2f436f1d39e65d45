"""The confirmation of the default, beside label smoothing, no pseudo-count and a queue, with fresh seeds.

python -m benchmarks.confirm DATASETS OUT [SETTING ...] [--seeds 40 41 42 43 44]
python -m benchmarks.confirm --table benchmarks/records/confirm

The settings are those of ``benchmarks.default``. ``--table`` prints the gains on plain training on the test images,
with 95 % intervals paired by seed; over all settings, each with the same weight. With two classes the default has no
pseudo-count, so the two are equal.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.default import run_study
from osakd.report.statistics.spread import paired_difference
from osakd.report.tables.table import markdown, table_of
from osakd.runs import finished, read_runs

METHODS = ("plain", "label-smoothing", "osakd", "osakd-pseudo_count=0.0", "osakd-queue")
BASELINE = METHODS[0]
SEEDS = (40, 41, 42, 43, 44)
SCORES = (
    ("test", "accuracy", 100),
    ("test", "balanced_accuracy", 100),
    ("test", "nll", 1),
    ("validation", "accuracy", 100),
)


def table(folder: Path, names: Sequence[str] = METHODS[1:]) -> str:
    """Gains of methods on the test images by setting and over all, and over all on the validation images.

    Settings without one of the methods are left out.
    """
    gains: dict[tuple[str, str, str], list[list[float]]] = {}
    head = ["method"]
    for path in sorted(folder.glob("*.jsonl")):
        found = {(run.label, run.seed): run.result for run in finished(read_runs(path))}
        seeds = sorted(seed for label, seed in found if label == BASELINE)
        if any((label, seed) not in found for label in names for seed in seeds):
            continue
        plain = fmean(found[BASELINE, seed].deployed_scores()["accuracy"] for seed in seeds)
        head.append(f"{path.stem} ({100 * plain:.1f} %)")
        for label, (split, score, unit) in itertools.product(names, SCORES):
            ours, theirs = (
                [unit * found[method, seed].deployed_scores(split)[score] for seed in seeds]
                for method in (label, BASELINE)
            )
            gains.setdefault((label, split, score), []).append([a - b for a, b in zip(ours, theirs, strict=True)])
    rows = []
    for label in names:
        scored = [gains[label, split, score] for split, score, _ in SCORES]
        every = [[fmean(of_seed) for of_seed in zip(*of_score, strict=True)] for of_score in scored]
        rows.append([label, *map(interval, [*scored[0], *every])])
    head += [f"all: {split} {score.replace('_', ' ')}" for split, score, _ in SCORES]
    return markdown(table_of("The confirmation of the default", head, rows))


def interval(gains: Sequence[float]) -> str:
    """A mean with its 95 % interval."""
    found = paired_difference(gains, [0.0] * len(gains))
    assert found.low is not None and found.high is not None  # noqa: S101, PT018 - five seeds have an interval
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def methods(_: int) -> list[Any]:
    """The cells, the same for any number of classes."""
    return [{"name": "osakd", "pseudo_count": 0.0} if "=" in label else label for label in METHODS]


if __name__ == "__main__":
    run_study("benchmarks.confirm", SEEDS, table, methods)
