"""``python -m chaos.apart FOLDER``: how far apart runs of one seed are where equality bit for bit is not promised.

FOLDER holds the images of CIFAR-10; a tenth of them is used. It takes some minutes.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from chaos.children import EXECUTORS, say
from osakd import records
from osakd.engine.config import Options
from osakd.engine.executors.policy import Sharing
from osakd.engine.state import load_student
from osakd.runner import run as runner
from osakd.runner.planning import plan_comparison
from osakd.runner.worker import run_single

SEEDS = 3
SETTING: dict[str, Any] = {"model": "lenet", "epochs": 10, "learning_rate": 0.01, "fraction": 0.1, "device": "cpu"}
ALONE, METHOD = "serial", "osakd-8nn"
OTHERS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "serial/native": ("serial/native", 1, (METHOD,)),
    "two threads": (ALONE, 2, (METHOD,)),
    "fused/channels, 3 replicas": ("fused/channels", 1, (METHOD,)),
    "fused/native, 3 replicas": ("fused/native", 1, (METHOD,)),
    "fused/channels, 6 replicas": ("fused/channels", 1, (METHOD, "plain")),
    "fused/vmap, 3 replicas": ("fused/vmap", 1, (METHOD,)),
}
"""What is done otherwise: the executor, the number of threads, and the methods that share a program."""


def trained(data: str, out: Path, executor: str, threads: int, methods: Sequence[str]) -> list[Path]:
    """Trains every seed; the folders of the runs of ``METHOD``."""
    kernels = "native" if EXECUTORS[executor].native else "torch"
    options = Options(**SETTING, executor=executor.partition("/")[0], kernels=kernels)
    _, jobs = plan_comparison(data, list(methods), range(SEEDS), options, out)
    torch.set_num_threads(threads)
    if EXECUTORS[executor].shares_program:
        runner.sharing = lambda *_, **__: Sharing((executor,), optional=False)
        errors = runner.run_jobs(jobs, processes=threads, on_progress=lambda _: None)
        if errors:
            raise next(iter(errors.values()))
    else:
        for job in jobs:
            run_single((job,))
    return [job.folder for job in jobs if job.label == METHOD]


def apart(ours: Sequence[Path], theirs: Sequence[Path]) -> str:
    """A row: differences of accuracy in points, of NLL, and of weights."""
    gaps, losses, weights = [], [], []
    for mine, other in zip(ours, theirs, strict=True):
        (a, b) = (records.read_metrics(one)[-1]["test"] for one in (mine, other))
        gaps.append(100 * (a["accuracy"] - b["accuracy"]))
        losses.append(abs(a["nll"] - b["nll"]))
        first, second = (load_student(one).state_dict() for one in (mine, other))
        weights.append(max(float((first[name] - second[name]).abs().max()) for name in first))
    mean = sum(gaps) / len(gaps)
    return f"{max(map(abs, gaps)):.2f} | {mean:+.2f} | {max(losses):.1e} | {max(weights):.1e} |"


def main(argv: Sequence[str]) -> int:
    """Trains a setting in several ways and prints how far apart they are."""
    parser = argparse.ArgumentParser(prog="chaos.apart", description="Measure what is not promised to be equal.")
    parser.add_argument("data", help="folder of CIFAR-10")
    found = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        reference = trained(found.data, place / "reference", ALONE, 1, (METHOD,))
        accuracy = [100 * records.read_metrics(run)[-1]["test"]["accuracy"] for run in reference]
        print(f"Against `{ALONE}` with one thread ({', '.join(f'{one:.2f} %' for one in accuracy)}):\n")
        print("| otherwise | largest difference in points | mean difference | largest of NLL | largest of a weight |")
        print("|---|---|---|---|---|")
        for number, (what, how) in enumerate(OTHERS.items()):
            begun = time.monotonic()
            print(f"| {what} | {apart(trained(found.data, place / str(number), *how), reference)}", flush=True)
            say(f"{what}: {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
