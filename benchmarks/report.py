"""How long a report of many runs takes, and how much memory: ``python -m benchmarks.report``.

Makes synthetic records in a temporary folder, reports them in a process of its own on one core, and prints seconds and
peak memory. By default 10,000 runs: 4 comparisons of 10 methods with 250 seeds, 20 epochs each.
"""

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.report.made import make_run


def main() -> None:
    """Makes the records, reports them, prints what that took."""
    parser = argparse.ArgumentParser(prog="benchmarks.report", description="Time the report of many synthetic runs.")
    for name, number in {"columns": 4, "methods": 10, "seeds": 250, "epochs": 20}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        records = Path(name) / "records"
        for method in range(options.methods):
            label = "plain" if method == 0 else f"osakd-{method}" if method % 3 == 1 else f"method{method}"
            for seed in range(options.seeds):
                accuracies = [accuracy(epoch, method, seed) for epoch in range(1, options.epochs + 1)]
                for column in range(options.columns):
                    make_run(records / f"mine/column{column}/{label}-seed{seed}", accuracies)
        before = time.perf_counter()
        command = [sys.executable, "-m", "osakd", "report", str(records), "--out", f"{name}/out"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        seconds = time.perf_counter() - before
        page = (Path(name) / "out/report.html").stat().st_size
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{options.columns * options.methods * options.seeds:,} runs of {options.epochs} epochs:")
    print(
        f"{seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU time, peak memory {used.ru_maxrss / 1024:.0f}"
    )
    print(f"MiB, page {page / 2**20:.1f} MiB")


def accuracy(epoch: int, method: int, seed: int) -> float:
    """It rises, a little differently for every method and seed."""
    return 0.6 * (1 - math.exp(-epoch / 5)) + 0.001 * method + 0.01 * math.sin(epoch + 7 * method + 13 * seed)


if __name__ == "__main__":
    main()
