"""``osakd evaluate``: the scores of a trained network."""

from typing import Any

from osakd import api
from osakd.cli.command import command
from osakd.errors import printable


@command(api.evaluate, positional=("run",), without=("on_note",))
def evaluate(**options: Any) -> None:
    """Score the network of a finished run, or an exported file, on a test set."""
    scores = api.evaluate(**options, on_note=lambda note: print(printable(note)))
    top5 = f"top-5 {100 * scores['top5']:.2f} %, " if "top5" in scores else ""
    print(f"accuracy {100 * scores['accuracy']:.2f} %, {top5}NLL {scores['nll']:.4f}, ECE {100 * scores['ece']:.2f} %")
