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

    from osakd.deploy.card import model_card
    from osakd.deploy.target import check_file
    from osakd.durable import write_atomic
    from osakd.paths import given_path

    card = model_card(given_path(found.run), license_name=found.license)
    if found.to is None:
        print(card, end="")
    else:
        check_file(given_path(found.to))
        write_atomic(given_path(found.to), card.encode())
        print(f"{found.to}: written")
    return 0
