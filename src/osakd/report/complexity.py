"""The complexity figures that ``osakd reproduce cost`` left beside the runs, as a table."""

from pathlib import Path

from osakd.intact import damaged, read_json
from osakd.report.grids import Grid

FILE = "cost.json"
HEAD = ["CIFAR-10's shape", "paper", "ours", "verdict"]


def complexity(folder: Path) -> Grid | None:
    """The figures in a folder of records; None where there are none.

    Raises:
        RunError: the file is damaged, or cannot be read.
    """
    found = read_json(folder / FILE)
    if found is None:
        return None
    try:
        rows = [[str(one[key]) for key in ("what", "paper", "ours", "verdict")] for one in found["figures"]]
        place = found["made_by"]
        note = (
            f"Counted, but for the steps: medians over rounds in which the methods take turns, on made images "
            f"({place['device']}, {place['machine']}, {place['threads']} threads, torch {place['torch']})."
        )
    except (KeyError, TypeError) as error:
        raise damaged(folder / FILE, error) from error
    return Grid("What the methods cost", HEAD, rows, note=note, text=(0, 3))
