"""``python -m chaos.run``: injects faults and prints the table of what became of them."""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos import commands, damage, disk, exported, fuzz, kills, memory, pictures, processes
from chaos.children import prepare, say
from chaos.outcome import Outcome, table


@dataclass(frozen=True)
class Given:
    """What a fault is given.

    Attributes:
        place: folder to work in.
        seconds: time for those that come at random.
        rng: what is random.
        cases: number of cases of bad input.
        least: number of times that training is killed at a random moment, at least.
    """

    place: Path
    seconds: float
    rng: random.Random
    cases: int
    least: int

    @property
    def compared(self) -> Path:
        """What the commands of ``processes`` gave undisturbed."""
        return self.place / processes.COMPARED

    def at_random(self, number: int, name: str, least: int) -> list[Outcome]:
        """Stops training with a signal."""
        return [kills.at_random(self.place, self.seconds, self.rng, number, name, least)]


FAULTS: dict[str, tuple[float, Callable[[Given], list[Outcome]]]] = {
    "kill": (0.35, lambda it: it.at_random(signal.SIGKILL, "SIGKILL at a random moment", it.least)),
    "writes": (0.25, lambda it: [kills.at_every_write(it.place, it.seconds, it.rng)]),
    "power": (0.2, lambda it: [kills.power(it.place, it.seconds, it.rng)]),
    "interrupt": (0.2, lambda it: it.at_random(signal.SIGINT, "Ctrl-C at a random moment", it.least // 3)),
    "commands": (0, lambda it: [commands.all_commands(it.place, it.rng, 5)]),
    "disk": (0, lambda it: [one(it.place) for one in (disk.full, disk.read_only, disk.deleted, disk.clock, disk.two)]),
    "processes": (0, lambda it: [*processes.all_kinds(it.place, it.rng), memory.not_shared(it.place, it.compared)]),
    "memory": (0, lambda it: [memory.missing(it.place)]),
    "same": (0, lambda it: [kills.again(it.place)]),
    "resume": (0, lambda it: [damage.resumed(it.place, it.rng)]),
    "damage": (0, lambda it: damage.files(it.place, it.rng)),
    "fuzz": (0, lambda it: fuzz.all_kinds(it.place, it.rng, it.cases)),
    "pictures": (0, lambda it: [pictures.folders(it.place)]),
    "exported": (0, lambda it: exported.files(it.place, it.rng, it.cases // 20)),
}
"""The faults by name: the share of the time, 0 for those that are done once, and what injects them."""


def main(argv: Sequence[str]) -> int:
    """Injects the faults; 1 where something was lost or wrong."""
    parser = argparse.ArgumentParser(prog="chaos", description="Inject faults for real; print what became of them.")
    parser.add_argument("--seconds", type=float, default=110, help="time for the faults that come at random")
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS), help="which faults")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments and of the bits")
    parser.add_argument("--cases", type=int, default=20_000, help="cases of bad input")
    parser.add_argument("--kills", type=int, default=63, help="how often training is killed at random, at least")
    found = parser.parse_args(argv)
    prepare()
    outcomes: list[Outcome] = []
    begun = time.monotonic()
    for name in found.faults:
        share, inject = FAULTS[name]
        start = time.monotonic()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            rng = random.Random(f"{name} {found.seed}")  # noqa: S311 - faults, no secrets
            outcomes += inject(Given(Path(place), share * found.seconds, rng, found.cases, found.kills))
        say(f"{name}: {time.monotonic() - start:.0f} s")
    say(f"all: {time.monotonic() - begun:.0f} s")
    print(table(outcomes))
    details = [detail for one in outcomes for detail in one.details]
    for detail in details:
        say(detail)
    return int(bool(details))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
