"""``python -m chaos.load``: 1,000 runs through the runner, and a run of thousands of epochs.

It takes some minutes (``python benchmarks/report.py`` reports 10,000 records). Each part prints a table; the exit
status is 1 where something was lost, done twice or grew.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import osakd
from chaos.children import METHODS, options_of, prepare
from osakd import records
from osakd.engine import loop
from osakd.engine.callbacks import Callback
from osakd.runner import pools
from osakd.runner.planning import plan_comparison
from osakd.runner.progress import Progress
from osakd.runner.run import run_jobs

RUNS, EPOCHS, PROCESSES = 1_000, 5_000, 2
MIB_OF_GROWTH = 20.0


class Use(NamedTuple):
    """What this process uses: memory in MiB, open files, threads."""

    memory: float
    files: int
    threads: int

    def __str__(self) -> str:
        return f"{self.memory:.0f} | {self.files} | {self.threads} |"


def use() -> Use:
    """What this process uses now."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return Use(int(found["VmRSS"].split()[0]) / 1024, len(os.listdir("/proc/self/fd")), int(found["Threads"]))  # noqa: PTH208


def runs(place: Path, count: int) -> list[str]:
    """Short runs through the runner, each with a step; what was lost, done twice or grew."""
    submitted: Counter[Path] = Counter()
    submit, curve = pools.LocalPool.submit, dict[int, Use]()

    def counted(self: pools.LocalPool, run: pools.Run, program: Any) -> Any:
        submitted.update(job.folder for job in program)
        return submit(self, run, program)

    def watch(states: list[Progress]) -> None:
        done = sum(state.done for state in states)
        if done // (count // 10) * (count // 10) not in curve:
            curve[done // (count // 10) * (count // 10)] = use()

    pools.LocalPool.submit = counted  # type: ignore[method-assign]
    options = options_of("serial", epochs=1, fraction=0.03, ema=None)
    _, jobs = plan_comparison("digits", ["plain"], range(count), options, place / "runs")
    begun = time.monotonic()
    errors = run_jobs(jobs, processes=PROCESSES, on_progress=watch)
    seconds = time.monotonic() - begun
    curve[count] = use()
    print(f"{count:,} runs in {seconds:.0f} s, {PROCESSES} processes.\n")
    print("| runs done | MiB of the runner | open files | threads |\n|---|---|---|---|")
    for done, one in sorted(curve.items()):
        print(f"| {done:,} | {one}")
    lost = [job.folder.name for job in jobs if records.read_result(job.folder) is None]
    twice = [folder.name for folder, times in submitted.items() if times > 1]
    rows = [job.folder.name for job in jobs if [row["epoch"] for row in records.read_metrics(job.folder)] != [1]]
    steps = sorted(curve.items())
    grown = steps[-1][1].memory - steps[1][1].memory
    print(f"\nLost: {len(lost)}. Twice: {len(twice) + len(rows)}. Failed: {len(errors)}. Growth: {grown:.0f} MiB.\n")
    wrong = [f"lost: {lost[:3]}"] * bool(lost) + [f"twice: {(twice + rows)[:3]}"] * bool(twice or rows)
    return wrong + [f"failed: {next(iter(errors.values()))}" for _ in [0] if errors] + _grown(grown)


class _Watch(Callback):
    """Notes what the process uses, ten times in a run."""

    def __init__(self, epochs: int) -> None:
        self.every, self.curve = epochs // 10, dict[int, Use]()

    def on_epoch_end(self, row: dict[str, Any]) -> None:
        """Notes it."""
        if row["epoch"] % self.every == 0:
            self.curve[row["epoch"]] = use()


def long(place: Path, epochs: int) -> list[str]:
    """One run of many tiny epochs, with a memory and an average of weights; what grew."""
    loop.SECONDS_BETWEEN_CHECKPOINTS = 1.0
    watch = _Watch(epochs)
    begun = time.monotonic()
    more = {"fraction": 0.06, "batch_size": 32, "ema": 0.9, "evaluate_every": 10, "executor": "serial"}
    osakd.train("digits", method=METHODS[0], epochs=epochs, out=place / "long", callbacks=[watch], **more)
    print(
        f"{epochs:,} epochs of one step in {time.monotonic() - begun:.0f} s.\n\n| epoch | MiB | open files | threads |"
    )
    print("|---|---|---|---|")
    for epoch, one in watch.curve.items():
        print(f"| {epoch:,} | {one}")
    print()
    first, *_, last = watch.curve.values()
    more_files = [
        f"{one} grew: {first} to {last}" for one in ("files", "threads") if getattr(last, one) > getattr(first, one)
    ]
    return more_files + _grown(last.memory - first.memory)


def _grown(mib: float) -> list[str]:
    return [f"the memory grew by {mib:.0f} MiB"] * (mib > MIB_OF_GROWTH)


PARTS = {"runs": (runs, RUNS), "long": (long, EPOCHS)}


def main(argv: Sequence[str]) -> int:
    """Loads osakd; 1 where something was lost, done twice or grew."""
    parser = argparse.ArgumentParser(prog="chaos.load", description="Load the runner, the report and a long run.")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="which parts")
    parser.add_argument("--share", type=float, default=1.0, help="share of the numbers of runs and epochs")
    found = parser.parse_args(argv)
    prepare()
    wrong = []
    for name in found.parts:
        part, count = PARTS[name]
        place = Path(tempfile.mkdtemp())
        try:
            wrong += part(place, round(found.share * count))
        finally:
            shutil.rmtree(place, ignore_errors=True)
    for one in wrong:
        print(one, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
