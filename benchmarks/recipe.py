"""The study of the recipe ``photos``: network, rate and the rest, one change at a time, on six sets of images.

python -m benchmarks.recipe DATASETS benchmarks/records/recipe.jsonl [SETTING ...] [--seeds 40]
python -m benchmarks.recipe --table benchmarks/records/recipe.jsonl

DATASETS is that of ``benchmarks.default``. Plain training with a twentieth of the recipe's steps and a fifth of the
training images held out, which decide. ``--table`` prints what came out.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import osakd
from benchmarks.default import Data, each, read, skewed, some
from osakd.report.tables.table import markdown, table_of

STEPS, EVALUATIONS = 600, 10
CELLS: dict[str, dict[str, Any]] = {
    "resnet8, rate 0.05": {"model": "resnet8", "learning_rate": 0.05},
    "resnet8, rate 0.1": {"model": "resnet8", "learning_rate": 0.1},
    "resnet8, rate 0.2": {"model": "resnet8", "learning_rate": 0.2},
    "resnet8, AdamW 0.002": {"model": "resnet8", "optimizer": "adamw", "learning_rate": 0.002},
    "ds-cnn, rate 0.1": {"model": "ds-cnn", "learning_rate": 0.1},
    "lenet, rate 0.01": {"model": "lenet", "learning_rate": 0.01},
}
"""The cells: what is changed, and to what."""
LARGE = ("ds-cnn, rate 0.1", "resnet8, rate 0.1")
"""The cells for images of 64 pixels."""
SPLITS = ("validation", "test")


def settings(datasets: Path) -> dict[str, tuple[Callable[[], Data], tuple[str, ...]]]:
    """By name, what makes the images, and the cells that are run on them."""

    def data(name: str, size: int = 32) -> dict[str, Any]:
        return read(datasets / name, size)

    photos = "tiny-imagenet-subset"
    every = tuple(CELLS)
    return {
        "skewed-2": (lambda: skewed(data("cifar10"), 3, 5), every),
        "digits-10": (lambda: some(data("svhn-subset"), each(10, 500), each(10, 200)), every),
        "clothes-10": (lambda: some(data("fashion_mnist"), each(10, 500), each(10, 300)), every),
        "photos-16": (lambda: some(data(photos), each(16, 100), each(16, 25)), every),
        "photos-50": (lambda: some(data(photos), each(50, 100), each(50, 25)), every),
        "photos-200": (lambda: some(data(photos), each(200, 100), each(200, 25)), every),
        "photos-16-64-pixels": (lambda: some(data(photos, 64), each(16, 100), each(16, 25)), LARGE),
    }


def options(cell: str, images: int) -> dict[str, Any]:
    """The options of a cell: the recipe's but for what the cell changes, and the number of epochs."""
    epochs = max(round(STEPS * 64 / (0.8 * images)), 5)
    every = max(epochs // EVALUATIONS, 1)
    return {"recipe": "photos", "validation": 0.2, "epochs": epochs, "evaluate_every": every} | CELLS[cell]


def table(record: Path) -> str:
    """Validation and test accuracy of the deployed network in percent, by cell and setting."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    names = list(dict.fromkeys(line["setting"] for line in lines))
    rows = []
    for name in CELLS:
        row = [name]
        for setting in names:
            of_cell = [line for line in lines if (line["cell"], line["setting"]) == (name, setting)]
            means = [100 * fmean(line[split]["accuracy"] for line in of_cell) for split in SPLITS if of_cell]
            row.append(" / ".join(f"{mean:.1f}" for mean in means) or "-")
        rows.append(row)
    return markdown(table_of("The study of the recipe", ["configuration", *names], rows))


def main() -> None:
    """Trains what is missing, a line of the record for each run; or prints the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.recipe", description="Study the recipe for own images.")
    parser.add_argument("datasets", type=Path, nargs="?")
    parser.add_argument("record", type=Path)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--seeds", type=int, nargs="+", default=[40])
    parser.add_argument("--cells", nargs="+", default=list(CELLS))
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    if chosen.table:
        print(table(chosen.record))
        return
    done = [json.loads(line) for line in chosen.record.read_text().splitlines()] if chosen.record.exists() else []
    seen = {(line["setting"], line["cell"], line["seed"]) for line in done}
    for setting, (make, cells) in settings(chosen.datasets).items():
        runs = [(cell, seed) for cell in cells if cell in chosen.cells for seed in chosen.seeds]
        wanted = [run for run in runs if (setting, *run) not in seen]
        if (chosen.settings and setting not in chosen.settings) or not wanted:
            continue
        data = make()
        for cell, seed in wanted:
            with tempfile.TemporaryDirectory() as folder:
                run = osakd.train(data, seed=seed, out=folder, **options(cell, len(data["train"][1])))
            result = run.result
            line = {"setting": setting, "cell": cell, "seed": seed, "epochs": run.config.epochs}
            line |= {"seconds": round(result.seconds, 1)}
            line |= {split: result.deployed_scores(split) for split in SPLITS}
            with chosen.record.open("a") as record:
                record.write(json.dumps(line) + "\n")
            print(setting, cell, *(f"{100 * line[split]['accuracy']:.2f}" for split in SPLITS), flush=True)


if __name__ == "__main__":
    main()
