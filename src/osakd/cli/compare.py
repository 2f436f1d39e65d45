"""``osakd compare``: train several methods over several seeds, and show a table and their curves."""

from typing import Any

from osakd import api
from osakd.cli.command import command


@command(api.compare, without=("on_progress",), continues=())
def compare(**options: Any) -> None:
    """Train several methods over several seeds and compare them. The same command continues after a stop."""
    from osakd.cli.progress import ComparisonProgress, print_comparison

    incomplete = None
    with ComparisonProgress() as progress:
        try:
            comparison = api.compare(**options, on_progress=progress.on_progress)
        except api.IncompleteError as error:
            comparison, incomplete = error.comparison, error
    print_comparison(comparison.panel)
    print(f"Every value and the curves are in {comparison.folder}/ (summary.json, curves.svg, curves.png).")
    print(f"Open {comparison.folder}/report.html in a browser to see them.")
    if incomplete is not None:
        raise incomplete
