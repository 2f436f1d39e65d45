"""The confirmation of the default: fresh seeds of plain training, label smoothing, the default and its queue.

python -m benchmarks.confirm DATASETS OUT [SETTING ...] [--seeds 40 41 42 43 44]
python -m benchmarks.confirm --table benchmarks/records/confirm

The settings are those of ``benchmarks.default``. ``--table`` prints the gains on plain training on the test images,
with 95 % intervals paired by seed; over all settings, each with the same weight.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import osakd
from benchmarks.default import settings
from osakd.report.statistics.spread import paired_difference
from osakd.report.tables.table import markdown, table_of
from osakd.runs import finished, read_runs

METHODS = ("plain", "label-smoothing", "osakd", "osakd-queue")
BASELINE = METHODS[0]
SCORES = (("accuracy", 100), ("balanced_accuracy", 100), ("nll", 1))


def table(folder: Path) -> str:
    """Gains in accuracy by setting and over all; gains in balanced accuracy and NLL over all."""
    gains: dict[tuple[str, str], list[list[float]]] = {}
    head = ["method"]
    for path in sorted(folder.glob("*.jsonl")):
        found = {(run.label, run.seed): run.result.deployed_scores() for run in finished(read_runs(path))}
        seeds = sorted(seed for label, seed in found if label == BASELINE)
        plain = fmean(found[BASELINE, seed]["accuracy"] for seed in seeds)
        head.append(f"{path.stem} ({100 * plain:.1f} %)")
        for method in METHODS[1:]:
            for score, unit in SCORES:
                pairs = [(found[method, seed][score], found[BASELINE, seed][score]) for seed in seeds]
                gains.setdefault((method, score), []).append([unit * (ours - theirs) for ours, theirs in pairs])
    rows = []
    for method in METHODS[1:]:
        accuracy = gains[method, "accuracy"]
        every = [[fmean(of_seed) for of_seed in zip(*gains[method, score], strict=True)] for score, _ in SCORES]
        rows.append([method, *map(interval, [*accuracy, *every])])
    head += ["all: accuracy", "all: balanced accuracy", "all: NLL"]
    return markdown(table_of("The confirmation of the default", head, rows))


def interval(gains: Sequence[float]) -> str:
    """A mean with its 95 % interval."""
    found = paired_difference(gains, [0.0] * len(gains))
    assert found.low is not None and found.high is not None  # noqa: S101, PT018 - five seeds have an interval
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def main() -> None:
    """Trains what is missing of the settings, and packs it; or prints the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.confirm", description="Confirm the default's labels.")
    parser.add_argument("datasets", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--seeds", type=int, nargs="+", default=[40, 41, 42, 43, 44])
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return
    for name, (make, how) in settings(options.datasets).items():
        if options.settings and name not in options.settings:
            continue
        out = options.out / name
        osakd.compare(make(), methods=METHODS, seeds=options.seeds, out=out, processes=1, **how)
        print(osakd.pack(out)[0].file, flush=True)


if __name__ == "__main__":
    main()
