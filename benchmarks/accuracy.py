"""Whether the native kernel trains to the accuracy of PyTorch's operators: LeNet, a fifth of CIFAR-10, five seeds.

python -m benchmarks.accuracy path/to/cifar10 > benchmarks/records/accuracy.md

Both round differently, so their runs differ as those of two seeds may: the spread over seeds is what to compare with.
It takes four minutes of one core.
"""

import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import osakd
from osakd.report.tables.table import markdown, table_of

SEEDS = range(5)
OPTIONS: dict[str, Any] = {"model": "lenet", "fraction": 0.2, "epochs": 30, "learning_rate": 0.01}
KERNELS = {"native kernel": "native", "PyTorch's operators": "torch"}


def main(data: str) -> None:
    """Prints a table of test accuracies at the last epoch."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, kernels in KERNELS.items():
            runs = [
                osakd.train(data, seed=seed, kernels=kernels, out=Path(folder) / f"{kernels}{seed}", **OPTIONS)
                for seed in SEEDS
            ]
            values = [100 * run.result.last["test"]["accuracy"] for run in runs]
            each = ", ".join(f"{value:.2f}" for value in values)
            rows.append([name, f"{mean(values):.2f}", f"{stdev(values):.2f}", each])
    print(markdown(table_of("accuracy", ["computed by", "mean, %", "standard deviation", "each seed"], rows)))


if __name__ == "__main__":
    main(sys.argv[1])
