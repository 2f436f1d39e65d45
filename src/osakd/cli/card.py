"""``osakd card``: the model card of a run."""

from pathlib import Path

from osakd.cli.command import command


@command(positional=("run",))
def card(run: str | Path, *, to: str | Path | None = None, license: str | None = None) -> None:  # noqa: A002 - the hub's word
    """Write the model card of a finished run, with the Hugging Face hub's metadata block.

    Args:
        run: folder of the run.
        to: file to write; by default the card is printed.
        license: licence of the network, as the hub names it: apache-2.0.
    """
    from osakd.deploy.card import model_card
    from osakd.deploy.target import check_file
    from osakd.durable import write_atomic
    from osakd.paths import given_path

    text = model_card(given_path(run), license_name=license)
    if to is None:
        print(text, end="")
    else:
        check_file(given_path(to))
        write_atomic(given_path(to), text.encode())
        print(f"{to}: written")
