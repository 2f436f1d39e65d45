"""``python -m chaos.run``: injects faults and prints the table of what became of them."""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from chaos import damage, disk, fuzz, kills
from chaos.children import prepare, say
from chaos.outcome import Outcome, table

FAULTS = {"kill": 0.35, "writes": 0.25, "power": 0.2, "interrupt": 0.2, "disk": 0, "resume": 0, "damage": 0, "fuzz": 0}
"""The faults, each with its share of the time; those of 0 are done once."""


def injected(name: str, place: Path, seconds: float, rng: random.Random, cases: int = 20_000) -> list[Outcome]:
    """Injects the faults of one kind.

    Args:
        name: one of ``FAULTS``.
        place: folder to work in.
        seconds: time for those that come at random.
        rng: what is random.
        cases: number of cases of bad input.
    """
    match name:
        case "kill":
            return [kills.at_random(place, seconds, rng, signal.SIGKILL, "SIGKILL at a random moment")]
        case "interrupt":
            return [kills.at_random(place, seconds, rng, signal.SIGINT, "Ctrl-C at a random moment")]
        case "writes":
            return [kills.at_every_write(place, seconds, rng)]
        case "power":
            return [kills.power(place, seconds, rng)]
        case "disk":
            return [fault(place) for fault in (disk.full, disk.read_only, disk.deleted, disk.clock, disk.two)]
        case "resume":
            return [damage.resumed(place, rng)]
        case "damage":
            return damage.files(place, rng)
        case _:
            return fuzz.all_kinds(place, rng, cases)


def main(argv: Sequence[str]) -> int:
    """Injects the faults; 1 where something was lost or wrong."""
    parser = argparse.ArgumentParser(prog="chaos", description="Inject faults for real; print what became of them.")
    parser.add_argument("--seconds", type=float, default=300, help="time for the faults that come at random")
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS), help="which faults")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments and of the bits")
    parser.add_argument("--cases", type=int, default=20_000, help="cases of bad input")
    found = parser.parse_args(argv)
    prepare()
    outcomes: list[Outcome] = []
    for name in found.faults:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            rng = random.Random(f"{name} {found.seed}")  # noqa: S311 - faults, no secrets
            outcomes += injected(name, Path(place), FAULTS[name] * found.seconds, rng, found.cases)
        say(f"{name}: {time.monotonic() - begun:.0f} s")
    print(table(outcomes))
    details = [detail for one in outcomes for detail in one.details]
    for detail in details:
        say(detail)
    return int(bool(details))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
