"""``osakd card``: the model card of a run."""

from pathlib import Path
from typing import Any

from osakd.cli.command import command
from osakd.deploy import api


@command(api.card, positional=("run",))
def card(*, to: str | Path | None = None, **options: Any) -> None:
    """Write the model card of a finished run, with the Hugging Face hub's metadata block.

    Args:
        to: file to write; by default the card is printed.
        **options: those of ``osakd.deploy.api.card``.
    """
    from osakd.durable import write_atomic
    from osakd.paths import out_path

    out_file = None if to is None else out_path(to)
    text = api.card(**options)
    if out_file is None:
        print(text, end="")
    else:
        write_atomic(out_file, text.encode())
        print(f"{to}: written")
