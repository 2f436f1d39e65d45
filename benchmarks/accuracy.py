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

import torch

import osakd

SEEDS, EPOCHS = range(5), 30


FORMS: dict[str, dict[str, Any]] = {
    "native kernel": {"model": "lenet", "kernels": "native"},
    "PyTorch's operators": {"model": "lenet", "kernels": "torch"},
}


def main(data: str) -> None:
    """Prints a table of test accuracies at the last epoch."""
    torch.set_num_threads(1)
    print("| computed by | mean, % | standard deviation | each seed |\n|---|---|---|---|")
    for name, options in FORMS.items():
        found = [100 * _accuracy(data, seed, options) for seed in SEEDS]
        print(f"| {name} | {mean(found):.2f} | {stdev(found):.2f} | {', '.join(f'{one:.2f}' for one in found)} |")


def _accuracy(data: str, seed: int, options: dict[str, Any]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = osakd.train(
            data=data, seed=seed, fraction=0.2, epochs=EPOCHS, learning_rate=0.01, out=Path(folder) / "run", **options
        )
        return run.result.last["test"]["accuracy"]


if __name__ == "__main__":
    main(sys.argv[1])
