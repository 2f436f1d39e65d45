"""The study of the default: neighbours' pool, pseudo-count and reliability, in settings of 2 to 200 classes.

python -m benchmarks.default DATASETS OUT [SETTING ...] [--seeds 30 31 32]
python -m benchmarks.default --table benchmarks/records/default

DATASETS holds cifar10, fashion_mnist, svhn-subset and tiny-imagenet-subset, as docs/data.md reads them. Each setting is
a folder of runs in OUT, packed into one file at its end; every run is deployed by the recipe of
docs/deployed-network.md, with a fifth of the training images held out, which decide. ``--table`` prints what came out,
``osakd report OUT`` everything.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

import osakd
from osakd.data.arrays import Split, in_channels
from osakd.data.options import ImageOptions
from osakd.data.sources import load_data
from osakd.report.tables.table import markdown, table_of
from osakd.runs import FinishedRun, finished, read_runs

TOTALS = (0.0, 0.6, 2.5)
"""Pseudo-counts of all classes together."""
AUGMENTED = {"crop": 4, "flip": True, "schedule": "cosine"}
QUICK = {"recipe": "paper", "model": "lenet", "learning_rate": 0.01, "epochs": 40, "validation": 0.2}
"""A rate with which LeNet is trained in 40 epochs."""
Data = dict[str, tuple[Any, Any]]


def read(folder: Path, size: int = 32) -> dict[str, Split]:
    """The splits of a data set in colour, resized."""
    data = load_data(str(folder), ImageOptions(resize=(size, size)))
    return {
        name: Split(in_channels(split.images, 3), split.target) for name, split in vars(data).items() if split_of(split)
    }


def split_of(value: object) -> bool:
    """Whether a part of a data set is a split."""
    return isinstance(value, Split)


def some(splits: dict[str, Split], train: dict[int, int], test: dict[int, int]) -> Data:
    """The first images of some classes, so many of each, numbered from 0."""
    chosen = {}
    for name, counts in (("train", train), ("test", test)):
        split = splits[name]
        rows = [np.flatnonzero(split.target == label)[:count] for label, count in counts.items()]
        labels = np.repeat(np.arange(len(counts)), [len(of_class) for of_class in rows])
        chosen[name] = (split.images[np.concatenate(rows)], labels)
    return chosen


def joined(parts: Sequence[Data]) -> Data:
    """Data sets as one, each with classes of its own."""
    data: Data = {}
    for name in ("train", "test"):
        images = np.concatenate([part[name][0] for part in parts])
        first = np.cumsum([0, *(int(part["train"][1].max()) + 1 for part in parts[:-1])])
        labels = np.concatenate([part[name][1] + start for part, start in zip(parts, first, strict=True)])
        data[name] = (images, labels)
    return data


def each(classes: int, count: int) -> dict[int, int]:
    """So many images of each class."""
    return dict.fromkeys(range(classes), count)


def skewed(splits: dict[str, Split], often: int, rare: int) -> Data:
    """Two classes, 3 to 1 in training and 5 to 3 in test."""
    return some(splits, {often: 1200, rare: 400}, {often: 500, rare: 300})


def turned(data: Data) -> Data:
    """Four classes of each, by the quarter turns of its images: many classes that a small network tells apart."""
    parts = []
    for turns in range(4):
        rows = {name: slice(turns, None, 4) for name in data}
        parts.append(
            {name: (np.rot90(x[rows[name]], turns, (1, 2)).copy(), y[rows[name]]) for name, (x, y) in data.items()}
        )
    return joined(parts)


def settings(datasets: Path) -> dict[str, tuple[Callable[[], Data], dict[str, Any]]]:
    """By name, what makes the images, and how networks are trained on them."""

    def data(name: str) -> dict[str, Split]:
        return read(datasets / name)

    def mixed() -> Data:
        return joined([some(data(name), each(10, 300), each(10, 200)) for name in ("fashion_mnist", "svhn-subset")])

    return {
        "photos-2": (lambda: skewed(data("cifar10"), 3, 5), QUICK),
        "clothes-2": (lambda: skewed(data("fashion_mnist"), 0, 6), QUICK),
        "digits-2": (lambda: skewed(data("svhn-subset"), 1, 7), QUICK),
        "photos-10": (lambda: some(data("cifar10"), each(10, 500), each(10, 300)), QUICK),
        "photos-10-augmented": (lambda: some(data("cifar10"), each(10, 500), each(10, 300)), QUICK | AUGMENTED),
        "digits-10": (lambda: some(data("svhn-subset"), each(10, 500), each(10, 300)), QUICK),
        "clothes-and-digits-20": (mixed, QUICK),
        "photos-16-augmented": (
            lambda: some(data("tiny-imagenet-subset"), each(16, 100), each(16, 25)), QUICK | AUGMENTED | {"epochs": 60},
        ),
        "photos-50-augmented": (
            lambda: some(data("tiny-imagenet-subset"), each(50, 100), each(50, 25)), QUICK | AUGMENTED | {"epochs": 60},
        ),
        "clothes-turned-40": (lambda: turned(some(data("fashion_mnist"), each(10, 1000), each(10, 500))), QUICK),
        "photos-200-augmented": (
            lambda: some(data("tiny-imagenet-subset"), each(200, 100), each(200, 25)), QUICK | AUGMENTED,
        ),
    }  # fmt: skip


def methods(classes: int) -> list[Any]:
    """The cells of the study."""
    cells: list[Any] = ["plain", "label-smoothing", {"name": "osakd", "reliability_scoring": "fixed"}]
    pools = itertools.product(("batch", "queue"), TOTALS)
    cells += [{"name": "osakd", "pool": pool, "pseudo_count": round(total / classes, 4)} for pool, total in pools]
    sizes = [{"name": "osakd", "pool": "queue", "queue_size": size} for size in (512, 8192)]
    return cells + [size | {"pseudo_count": round(0.6 / classes, 4)} for size in sizes]


def cell(run: FinishedRun) -> str:
    """The name of a cell in all settings: its pseudo-counts of all classes together."""
    settings = run.config.settings
    if run.config.method != "osakd":
        return run.label
    if settings["reliability_scoring"] == "fixed":
        return "batch, 2.5, fixed scoring"
    pool = settings["pool"] if settings["pool"] == "batch" else f"queue of {settings['queue_size']:,}"
    return f"{pool}, {round(settings['pseudo_count'] * len(run.config.data['class_counts']), 1):g}"


def gain(pairs: Sequence[tuple[FinishedRun, FinishedRun]], split: str) -> float:
    """How much more accurate the first of each pair is, in points."""
    accuracies = [[run.result.deployed_scores(split)["accuracy"] for run in pair] for pair in pairs]
    return 100 * fmean(ours - theirs for ours, theirs in accuracies)


def table(folder: Path) -> str:
    """The gains on plain training in each setting, of validation and test accuracy, and their means and minima."""
    gains: dict[str, dict[str, tuple[float, float]]] = {}
    head = ["pool, pseudo-counts in all"]
    for path in sorted(folder.glob("*.jsonl")):
        runs: dict[str, dict[int, FinishedRun]] = {}
        for run in finished(read_runs(path)):
            runs.setdefault(cell(run), {})[run.seed] = run
        plain = runs.pop("plain")
        accuracy = fmean(run.result.deployed_scores()["accuracy"] for run in plain.values())
        head.append(f"{path.stem} ({100 * accuracy:.1f} %, n = {len(plain)})")
        for name, of_cell in runs.items():
            pairs = [(run, plain[seed]) for seed, run in of_cell.items()]
            gains.setdefault(name, {})[path.stem] = gain(pairs, "validation"), gain(pairs, "test")
    rows = []
    for name, of_cell in gains.items():
        each_split = list(zip(*of_cell.values(), strict=True))
        ends = [" / ".join(f"{function(split):+.2f}" for split in each_split) for function in (fmean, min)]
        rows.append([name, *(f"{val:+.2f} / {test:+.2f}" for val, test in of_cell.values()), *ends])
    return markdown(table_of("The study of the default", [*head, "mean", "worst"], rows))


def run_study(prog: str, seeds: Sequence[int], table: Callable[[Path], str], cells: Callable[[int], list[Any]]) -> None:
    """Trains what is missing of the settings, each with the cells for its number of classes; or prints the table."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("datasets", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return
    for name, (make, how) in settings(options.datasets).items():
        if options.settings and name not in options.settings:
            continue
        data, out = make(), options.out / name
        of_data = cells(int(data["train"][1].max()) + 1)
        osakd.compare(data, methods=of_data, seeds=options.seeds, out=out, processes=1, **how)
        print(osakd.pack(out)[0].file, flush=True)


if __name__ == "__main__":
    run_study("benchmarks.default", [30, 31, 32], table, methods)
