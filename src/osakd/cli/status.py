"""``osakd status``: show how far the runs in a folder are, from any terminal."""

from collections import Counter
from typing import TYPE_CHECKING

from osakd.cli.command import command
from osakd.errors import printable

if TYPE_CHECKING:
    from osakd.runner.status import RunStatus


@command(positional=("folder",))
def status(folder: str, *, all: bool = False) -> None:  # noqa: A002 - as the option of the command
    """Show how far the runs in a folder are. This command changes nothing.

    Args:
        folder: folder of a comparison, an experiment, all records, or one run.
        all: also show a line for each finished run.
    """
    from rich.console import Console

    from osakd.paths import given_path
    from osakd.runner.status import status_of

    console = Console(markup=False, soft_wrap=True)
    for status_of_folder in status_of(given_path(folder)):
        counts = Counter(run.state for run in status_of_folder.runs)
        counted = ", ".join(f"{n} {state}" for state, n in counts.items())
        console.print(printable(f"{status_of_folder.folder}: {counted}"), style="bold")
        runner = status_of_folder.runner
        if runner:
            doubt = "" if runner.certain else " (or it was killed: its lock belongs to another user)"
            who = f"process {runner.process} on {runner.host}, since {runner.since}"
            console.print(printable(f"  run by {who}{doubt}"), highlight=False)
        for run in status_of_folder.runs:
            if all or run.state != "finished":
                console.print(printable(_line(run)), highlight=False)


def _line(run: "RunStatus") -> str:
    """The state of a run in a line: ``plain-seed0: running, epoch 3/40, test 81.20 %, 2 min left``."""
    from osakd.cli.progress import duration

    words = [run.state]
    if run.epochs is not None:
        words.append(f"epoch {run.epoch}/{run.epochs}")
    if run.row is not None and "test" in run.row:
        words.append(f"test {100 * run.row['test']['accuracy']:.2f} %")
    if run.seconds_left is not None:
        words.append(f"{duration(run.seconds_left)} left")
    return f"  {run.name}: {', '.join(words)}" + (f": {run.error}" if run.state in ("failed", "damaged") else "")
