"""``osakd report``: one page to look at, tables and figures of what is recorded."""

from typing import Any

from osakd import api
from osakd.cli.command import command


@command(api.write_report, positional=("folder",))
def report(**options: Any) -> None:
    """Show what is recorded: one page for a browser, tables and figures. Nothing is run."""
    path = api.write_report(**options)
    print(f"Open {path} in a browser; tables.md, tables.tex, tables.csv and figures/ lie beside it.")
