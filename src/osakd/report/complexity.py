"""The complexity figures that ``osakd reproduce cost`` left beside the runs, as a table."""

import json
from pathlib import Path

from osakd.errors import RunError
from osakd.read_json import read_bytes
from osakd.report.grids import Grid

FILE = "cost.json"
HEAD = ["CIFAR-10's shape", "paper", "ours", "verdict"]


def complexity(folder: Path) -> Grid | None:
    """The figures in a folder of records; None where there are none.

    Raises:
        RunError: the file is damaged, or cannot be read.
    """
    content = read_bytes(folder / FILE)
    if content is None:
        return None
    try:
        found = json.loads(content)
        rows = [[str(one[key]) for key in ("what", "paper", "ours", "verdict")] for one in found["figures"]]
        place = [found["made_by"][key] for key in ("device", "machine", "threads", "torch")]
        if not rows:
            raise ValueError("no figures")
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{str(folder / FILE)!r} is damaged ({error}): delete it, and run osakd reproduce cost again."
        ) from error
    note = "The paper's FLOPs of a forward pass are multiply-accumulates (MACs). All is counted but the steps: medians "
    note += "over rounds in which the methods take turns, on made images ({}, {}, {} threads, torch {}).".format(*place)
    return Grid("What the methods cost", HEAD, rows, note=note, text=(0, 3))
