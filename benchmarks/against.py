"""The same workloads in two checkouts of osakd, timed in turn: ``python -m benchmarks.run --against CHECKOUT``.

In each round each checkout has a process of its own, which takes the checkout's ``osakd`` and ``benchmarks`` and runs
this file. The processes take turns at every workload.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
NOT_OURS = ("plain script", "python", "product")
"""How the names of workloads begin that are no code of osakd."""


class Child:
    """A process that times workloads of a checkout.

    Args:
        checkout: the checkout.
        device: device to train on.
        steps: number of steps in a round.
    """

    def __init__(self, checkout: Path, device: str, steps: int) -> None:
        path = os.pathsep.join(map(str, (checkout / "src", checkout)))
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-P", __file__, device, str(steps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": path},
        )
        self.names: list[str] = self._answer()

    def seconds(self, name: str) -> float:
        """The seconds per step of a workload, which is built and warmed up at the first call."""
        print(name, file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _answer(self):
        from osakd.errors import RunError

        if not (line := self.process.stdout.readline()):  # type: ignore[union-attr]
            raise RunError(f"The process of {self.process.args!r} ended: its error is above.")
        return json.loads(line)


def side_by_side(other: Path, names: Sequence[str], *, rounds: int, steps: int, device: str) -> str:
    """Times workloads in another checkout and in this one, in turn.

    Args:
        other: the other checkout.
        names: the workloads; all of osakd's own that both have where it is empty.
        rounds: number of rounds.
        steps: number of steps of a workload in each round.
        device: device to train on.

    Returns:
        A table: medians in milliseconds, and the median over the rounds of now / before.

    Raises:
        InputError: CHECKOUT has no benchmarks.
    """
    from benchmarks.rows import milliseconds
    from osakd.errors import InputError
    from osakd.report.tables.table import markdown, table_of

    if not (other / "benchmarks/run.py").exists():
        raise InputError(f"{str(other)!r} has no benchmarks/run.py: give a checkout of osakd.")
    checkouts = {"before": other.resolve(), "now": ROOT}
    seconds: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        children = {side: Child(checkout, device, steps) for side, checkout in checkouts.items()}
        both = [name for name in children["now"].names if name in children["before"].names]
        chosen = names or [name for name in both if not name.startswith(NOT_OURS)]
        if missing := set(chosen) - set(both):
            raise InputError(f"No workload {sorted(missing)[0]!r} in both checkouts. Known: {', '.join(both)}.")
        for name in chosen:
            of_sides = seconds.setdefault(name, {side: [] for side in checkouts})
            for side in sorted(children, reverse=number % 2 == 1):
                of_sides[side].append(children[side].seconds(name))
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
        for child in children.values():
            child.close()
    rows = []
    for name, (before, now) in ((name, of_sides.values()) for name, of_sides in seconds.items()):
        ratio = median(ours / theirs for theirs, ours in zip(before, now, strict=True))
        rows.append([name, milliseconds(before), milliseconds(now), f"{ratio:.3f}"])
    return markdown(table_of("side by side", ["workload", "before ms", "now ms", "now / before"], rows))


def serve(device: str, steps: int) -> None:
    """Sends the names of the workloads, then the seconds per step of each one that is asked for, line by line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a workload prints is no answer
    import torch

    from benchmarks import run as benchmark
    from osakd.engine.allocator import keep_freed_memory

    keep_freed_memory()
    by_group = vars(benchmark).get("groups") or vars(benchmark)["_groups"]  # its name at fe0a4ef
    workloads = {
        name: timed for group in by_group(torch.device(device), steps).values() for name, timed in group.items()
    }
    built = {}
    print(json.dumps(list(workloads)), file=answers, flush=True)
    for name in map(str.strip, sys.stdin):
        if name not in built:
            built[name] = workloads[name].build()
            built[name](min(benchmark.WARM_UP, workloads[name].steps))
        taken = built[name](workloads[name].steps) / workloads[name].steps
        print(json.dumps(taken), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
