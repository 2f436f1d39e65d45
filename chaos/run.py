"""``python -m chaos.run``: injects faults and prints the table of what became of them."""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from chaos import commands, damage, disk, fuzz, kills, memory, processes
from chaos.children import prepare, say
from chaos.outcome import Outcome, table


class Size(NamedTuple):
    """How much is done.

    Attributes:
        seconds: time for the faults that come at random.
        kills: number of times that training is killed with each executor, at least; and interrupted, a third of it.
        processes: number of kills of each kind of process of a comparison.
        interrupts: number of times that each command is interrupted.
        cases: cases of each kind of bad input.
    """

    seconds: float
    kills: int
    processes: int
    interrupts: int
    cases: int


FULL, SHORT = Size(110, 10, 3, 5, 3_000), Size(30, 2, 1, 2, 300)


class Given(NamedTuple):
    """What a fault is given: a folder to work in, what is random, and how much is done."""

    place: Path
    rng: random.Random
    size: Size

    def at_random(self, number: int, name: str, share: float, least: int) -> list[Outcome]:
        """Stops training with a signal, for a share of the time."""
        return [kills.at_random(self.place, share * self.size.seconds, self.rng, number, name, least)]


FAULTS: dict[str, Callable[[Given], list[Outcome]]] = {
    "kill": lambda it: it.at_random(signal.SIGKILL, "SIGKILL at a random moment", 0.35, it.size.kills),
    "writes": lambda it: [kills.before_writes(it.place, 0.25 * it.size.seconds, it.rng, power=False)],
    "power": lambda it: [kills.before_writes(it.place, 0.2 * it.size.seconds, it.rng, power=True)],
    "interrupt": lambda it: it.at_random(signal.SIGINT, "Ctrl-C at a random moment", 0.2, -(-it.size.kills // 3)),
    "commands": lambda it: [commands.all_commands(it.place, it.rng, it.size.interrupts)],
    "disk": lambda it: disk.all_kinds(it.place),
    "processes": lambda it: processes.all_kinds(it.place, it.rng, it.size.processes),
    "memory": lambda it: [memory.missing(it.place)],
    "same": lambda it: [kills.again(it.place)],
    "resume": lambda it: [damage.resumed(it.place, it.rng)],
    "damage": lambda it: damage.files(it.place, it.rng),
    "input": lambda it: fuzz.all_kinds(it.place, it.rng, it.size.cases),
    "exported": lambda it: fuzz.exported(it.place, it.rng, it.size.cases // 3),
}


def main(argv: Sequence[str]) -> int:
    """Injects the faults; 1 where something was lost or wrong."""
    parser = argparse.ArgumentParser(prog="chaos", description="Inject faults for real; print what became of them.")
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS), help="which faults")
    parser.add_argument("--short", action="store_true", help="fewer of each: about five minutes of an idle machine")
    parser.add_argument("--seconds", type=float, help=f"time for those that come at random; {FULL.seconds} by default")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments and of the bits")
    options = parser.parse_args(argv)
    size = SHORT if options.short else FULL
    size = size if options.seconds is None else size._replace(seconds=options.seconds)
    prepare()
    outcomes: list[Outcome] = []
    begun = time.monotonic()
    for name in options.faults:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            rng = random.Random(f"{name} {options.seed}")  # noqa: S311 - faults, no secrets
            outcomes += FAULTS[name](Given(Path(place), rng, size))
        say(f"{name}: {time.monotonic() - start:.0f} s")
    say(f"all: {time.monotonic() - begun:.0f} s")
    print(table(outcomes))
    details = [detail for outcome in outcomes for detail in outcome.details]
    for detail in details:
        say(detail)
    return int(bool(details))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
