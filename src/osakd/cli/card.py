"""``osakd card``: the model card of a run."""

from collections.abc import Sequence

from osakd.cli.options import new_parser, parse


def command(argv: Sequence[str]) -> int:
    """Prints the card of a run, or writes it."""
    parser = new_parser("card", "Write the model card of a finished run, with the Hugging Face hub's metadata block.")
    parser.add_argument("run", type=str, help="folder of the run")
    parser.add_argument("--to", type=str | None, default=None, help="file to write; by default the card is printed")
    parser.add_argument(
        "--license", type=str | None, default=None, help="licence of the network, as the hub names it: apache-2.0"
    )
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd.deploy import api
    from osakd.durable import write_atomic
    from osakd.paths import out_path

    out_file = None if found.to is None else out_path(found.to)
    card = api.card(found.run, license=found.license)
    if out_file is None:
        print(card, end="")
    else:
        write_atomic(out_file, card.encode())
        print(f"{found.to}: written")
    return 0
