"""``osakd evaluate``: the scores of a trained network."""

from collections.abc import Sequence

from osakd.cli.options import new_parser, parse


def command(argv: Sequence[str]) -> int:
    """Prints the scores of a run's network on a test set."""
    parser = new_parser("evaluate", "Score the network of a finished run on a test set.")
    parser.add_argument("run", type=str, help="the run's folder")
    parser.add_argument("--data", type=str | None, default=None, help="by default what the run was trained on")
    parser.add_argument("--device", type=str | None, default=None, help="cpu, cuda or cuda:N")
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd import api

    scores = api.evaluate(found.run, data=found.data, device=found.device)
    top5 = f"top-5 {100 * scores['top5']:.2f} %, " if "top5" in scores else ""
    print(f"accuracy {100 * scores['accuracy']:.2f} %, {top5}NLL {scores['nll']:.4f}, ECE {100 * scores['ece']:.2f} %")
    return 0
