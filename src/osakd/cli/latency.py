"""``osakd latency``: accuracy, size, time and memory of trained networks and exported files, side by side."""

from collections.abc import Sequence

from osakd.cli.options import new_parser, parse


def command(argv: Sequence[str]) -> int:
    """Prints the table of what is measured, or of a record."""
    parser = new_parser("latency", "Compare run folders and exported files: accuracy, size, time of one image, memory.")
    parser.add_argument(
        "models", type=str, nargs="+", help="run folders and exported files; or one record, whose table is printed"
    )
    parser.add_argument("--calls", type=int, default=1000, help="number of timed calls of each model")
    parser.add_argument("--record", type=str | None, default=None, help="JSON file to write the measurements to")
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd.deploy import api
    from osakd.deploy.latency import latency_text, read_latencies
    from osakd.paths import given_path

    if len(found.models) == 1 and found.models[0].endswith(".json"):
        latencies = read_latencies(given_path(found.models[0]))
    else:
        latencies = api.latency(found.models, calls=found.calls, record=found.record)
    print(f"Latency of one image\n\n{latency_text(latencies)}")
    return 0
