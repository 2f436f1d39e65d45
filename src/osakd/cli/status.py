"""``osakd status``: show how far the runs in a folder are, from any terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from osakd.cli.options import new_parser, parse
from osakd.cli.progress import duration
from osakd.errors import printable


def command(argv: Sequence[str]) -> int:
    """Prints how many runs have finished, and a line for each of the others."""
    parser = new_parser("status", "Show how far the runs in a folder are. This command changes nothing.")
    parser.add_argument("folder", type=str, help="folder of a comparison, an experiment, all records, or one run")
    parser.add_argument("--all", action="store_true", help="also show a line for each finished run")
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd.paths import given_path
    from osakd.runner.status import RunStatus, status_of

    console = Console(markup=False, soft_wrap=True)

    def line(run: RunStatus) -> str:
        words = [run.state]
        if run.epochs is not None:
            words.append(f"epoch {run.epoch}/{run.epochs}")
        if run.row is not None and "test" in run.row:
            words.append(f"test {100 * run.row['test']['accuracy']:.2f} %")
        if run.seconds_left is not None:
            words.append(f"{duration(run.seconds_left)} left")
        return f"  {run.name}: {', '.join(words)}" + (f": {run.error}" if run.state in ("failed", "damaged") else "")

    for one in status_of(given_path(found.folder)):
        counts = Counter(run.state for run in one.runs)
        counted = ", ".join(f"{n} {state}" for state, n in counts.items())
        console.print(printable(f"{one.folder}: {counted}"), style="bold")
        if one.runner:
            doubt = "" if one.runner.certain else " (or it was killed: its lock belongs to another user)"
            who = f"process {one.runner.process} on {one.runner.host}, since {one.runner.since}"
            console.print(printable(f"  run by {who}{doubt}"), highlight=False)
        for run in one.runs:
            if found.all or run.state != "finished":
                console.print(printable(line(run)), highlight=False)
    return 0
