"""``osakd report``: one page to look at, tables and figures of what is recorded."""

from collections.abc import Sequence

from osakd.cli.options import add_trust, new_parser, parse


def command(argv: Sequence[str]) -> int:
    """Writes the report of a folder and says where it is."""
    parser = new_parser("report", "Show what is recorded: one page for a browser, tables and figures. Nothing is run.")
    parser.add_argument("folder", type=str, help="folder of records, of an experiment, a column, a comparison or a run")
    parser.add_argument("--out", type=str | None, default=None, help="folder to write into; by default the same folder")
    parser.add_argument(
        "--gallery",
        action="store_true",
        help="also show training images with their soft labels, the most ambiguous first; these are images of the data",
    )
    parser.add_argument(
        "--data",
        type=str | None,
        default=None,
        help="where the gallery's images are; by default the data that the runs were trained on",
    )
    add_trust(parser)
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd import api

    path = api.write_report(found.folder, out=found.out, gallery=found.gallery, data=found.data, trust=found.trust)
    print(f"Open {path} in a browser; tables.md, tables.tex, tables.csv and figures/ lie beside it.")
    return 0
