"""``osakd reproduce``: a table or figure of the paper, ours beside theirs, its claims and costs, and our studies."""

from typing import Any

from osakd.cli.command import command
from osakd.cli.terminal import say_lines
from osakd.experiments import api


@command(api.reproduce, positional=("name",), without=("on_progress",), continues=())
def reproduce(**options: Any) -> int:
    """Run what is missing of a table of the paper, and show ours beside theirs."""
    from osakd.cli.progress import ComparisonProgress

    with ComparisonProgress() as progress:
        reproduction = api.reproduce(**options, on_progress=progress.on_progress)
    say_lines(reproduction.text)
    return 1 if reproduction.failed and not options.get("dry_run") else 0
