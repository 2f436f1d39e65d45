"""How long a report of many runs takes, and how much memory: ``python benchmarks/report.py``.

Makes small synthetic records in a temporary folder, reports them in a process of its own on one core, and prints
seconds and peak memory. By default 10,000 runs: 4 comparisons of 10 methods with 250 seeds, 20 epochs each, every epoch
evaluated, a third of the methods with soft labels.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DATA = {
    "name": "made", "kind": "named", "content": "0123456789abcdef", "input_shape": [3, 32, 32],
    "class_counts": [5000] * 10, "train": 50000, "validation": 0, "test": 10000,
}  # fmt: skip
CONFIG = {
    "data": DATA, "model": "lenet", "batch_size": 64, "optimizer": "sgd", "learning_rate": 0.001, "momentum": 0.9,
    "nesterov": False, "weight_decay": 0.0, "max_grad_norm": None, "schedule": "constant", "milestones": [],
    "gamma": 0.1, "scaling": "half", "validation": 0.0,
}  # fmt: skip
OSAKD = {
    "k": 8, "soft_weight": 0.9, "pool": "batch", "space": "softmax", "divergence": "kl", "balance": "additive",
    "include_self": False,
}  # fmt: skip
ENVIRONMENT = {
    "osakd": "0.1.0", "commit": "abcdef", "python": "3.11.7", "torch": "2.13.0", "device": "cpu", "executor": "serial",
}  # fmt: skip


def main() -> None:
    """Makes the records, reports them, prints what that took."""
    parser = argparse.ArgumentParser(description="Time the report of many synthetic runs.")
    for name, number in {"columns": 4, "methods": 10, "seeds": 250, "epochs": 20}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    found = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        records = Path(name) / "records"
        for column in range(found.columns):
            for method in range(found.methods):
                for seed in range(found.seeds):
                    make_run(records / f"mine/column{column}", method, seed, found.epochs)
        before = time.perf_counter()
        command = [sys.executable, "-m", "osakd", "report", str(records), "--out", f"{name}/out"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        seconds = time.perf_counter() - before
        page = (Path(name) / "out/report.html").stat().st_size
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, processor = used.ru_maxrss / 1024, used.ru_utime + used.ru_stime
    runs = found.columns * found.methods * found.seeds
    shape = f"{found.columns} comparisons x {found.methods} methods x {found.seeds} seeds, {found.epochs} epochs"
    print(f"{runs:,} runs ({shape}):")
    print(f"{seconds:.1f} s, {processor:.1f} s of CPU time, peak memory {peak:.0f} MiB, page {page / 2**20:.1f} MiB")


def make_run(column: Path, method: int, seed: int, epochs: int) -> None:
    """A run folder as training leaves it."""
    soft = method % 3 == 1
    label = "plain" if method == 0 else f"method{method}"
    folder = column / f"{label}-seed{seed}"
    folder.mkdir(parents=True)
    own = {"method": "osakd", "settings": OSAKD} if soft else {"method": "plain", "settings": {}}
    rows = [make_row(epoch, method, seed, soft=soft) for epoch in range(1, epochs + 1)]
    best = max(rows, key=lambda row: row["test"]["accuracy"])
    result = {
        "epochs": epochs,
        "last": rows[-1],
        "best_on_test": {"accuracy": best["test"]["accuracy"], "epoch": best["epoch"]},
        "chosen_on_validation": None,
        "seconds": 12.5,
        "environment": ENVIRONMENT,
        "notes": [],
        "cost": {"step_ms": 2.5, "memory_mib": 7.0},
    }
    (folder / "config.json").write_text(json.dumps(CONFIG | own | {"seed": seed, "epochs": epochs}, indent=2))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "result.json").write_text(json.dumps(result, indent=2))


def make_row(epoch: int, method: int, seed: int, *, soft: bool) -> dict[str, Any]:
    """A row of a learning curve: the accuracy rises, a little differently for every method and seed."""
    wave = 0.01 * math.sin(epoch + 7 * method + 13 * seed)
    accuracy = 0.6 * (1 - math.exp(-epoch / 5)) + 0.001 * method + wave
    train = {"total": 2.0 / epoch, "hard": 1.5 / epoch}
    if soft:
        shares = {"soft_label_mass": 0.5 - 0.4 / epoch, "soft_label_entropy": 1.0 / epoch, "soft_label_agreement": 0.7}
        train |= {"soft": 0.5 / epoch, "weighted_hard": 1.5 / epoch, "weighted_soft": 0.45 / epoch} | shares
    return {
        "epoch": epoch,
        "learning_rate": 0.001,
        "seconds": 3.793,
        "images_per_second": 13182.0,
        "train": train,
        "test": {"accuracy": accuracy, "nll": 2.0 - accuracy, "ece": 0.02 + wave / 10},
    }


if __name__ == "__main__":
    main()
