"""The networks of docs/devices.md: trained for a short time with OSAKD, and exported in every format.

python -m benchmarks.devices DATASETS OUT

Training takes about ten minutes of one core; what is finished already is kept. Every step is a command, which is
printed. The last line printed is the command that measures them, for an idle machine.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from osakd.cli.main import main as osakd


class Network(NamedTuple):
    """A network of the table: its data, its name, and how long and how fast it learns."""

    data: str
    model: str
    epochs: int
    learning_rate: float


NETWORKS = (
    Network("cifar10", "lenet", 6, 0.01),
    Network("cifar10", "ds-cnn", 3, 0.05),
    Network("cifar10", "resnet8", 2, 0.05),
    Network("fashion_mnist", "lenet-fashion", 3, 0.01),
)
ENDINGS = (".onnx", "-int8.onnx", ".pte", "-int8.pte")
"""What is added to a network's name for each file."""


def commands(datasets: Path, out: Path) -> Iterator[list[str]]:
    """The commands that train and export, as one would type them behind ``osakd``."""
    for data, model, epochs, rate in NETWORKS:
        run, images = str(out / model), str(datasets / data)
        recipe = f"--method osakd --model {model} --epochs {epochs} --learning_rate {rate} --schedule cosine"
        yield ["train", "--data", images, *recipe.split(), "--out", run, "--resume"]
        for ending in ENDINGS:
            yield ["export", run, "--data", images, "--to", run + ending, *["--int8"] * ending.startswith("-int8")]


def measuring(out: Path) -> list[str]:
    """The command that measures all of them and writes the record."""
    files = [str(out / network.model) + ending for network in NETWORKS for ending in ("", *ENDINGS)]
    return ["latency", *files, "--record", "records/export/latency.json"]


def main(argv: Sequence[str]) -> int:
    """Trains and exports, and returns the exit code of the first command that failed, or 0."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.devices", description="Train and export the networks of docs/devices.md."
    )
    parser.add_argument("datasets", type=Path, help="folder that holds cifar10 and fashion_mnist in the hub's layout")
    parser.add_argument("out", type=Path, help="folder for the runs and the exported files")
    options = parser.parse_args(argv)
    for words in commands(options.datasets, options.out):
        print(f"\n$ osakd {shlex.join(words)}", flush=True)
        code = osakd(words)
        if code:
            return code
    print(f"\nMeasure them on an idle machine:\nosakd {shlex.join(measuring(options.out))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
