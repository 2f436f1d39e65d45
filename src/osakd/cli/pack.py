"""``osakd pack``: the runs of a folder in one file, to share or to commit."""

from typing import Any

from osakd import api
from osakd.cli.command import command
from osakd.errors import printable


@command(api.pack, positional=("folder",))
def pack(**options: Any) -> None:
    """Put the runs of a folder in one file, without their networks. Nothing is deleted."""
    for packed in api.pack(**options):
        print(printable(f"{packed.file}: {packed.runs} run{'s' * (packed.runs != 1)}"))
        for name, why in packed.left.items():
            print(printable(f"  not packed: {name}: {why}"))
