"""``osakd evaluate``: the scores of a trained network."""

from collections.abc import Sequence

from osakd.cli.options import add_reading_options, add_trust, new_parser, parse
from osakd.errors import printable


def command(argv: Sequence[str]) -> int:
    """Prints the scores of a run's network on a test set."""
    parser = new_parser("evaluate", "Score the network of a finished run on a test set.")
    parser.add_argument("run", type=str, help="folder of the run")
    parser.add_argument(
        "--data", type=str | None, default=None, help="data set; by default the one that the run was trained on"
    )
    add_reading_options(parser)
    parser.add_argument("--device", type=str | None, default=None, help="device: cpu, cuda or cuda:N")
    add_trust(parser)
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd import api

    scores = api.evaluate(
        found.run,
        data=found.data,
        device=found.device,
        resize=found.resize,
        label_column=found.label_column,
        image_column=found.image_column,
        trust=found.trust,
        on_note=lambda note: print(printable(note)),
    )
    top5 = f"top-5 {100 * scores['top5']:.2f} %, " if "top5" in scores else ""
    print(f"accuracy {100 * scores['accuracy']:.2f} %, {top5}NLL {scores['nll']:.4f}, ECE {100 * scores['ece']:.2f} %")
    return 0
