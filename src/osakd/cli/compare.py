"""``osakd compare``: train several methods over several seeds, and show a table and their curves."""

from collections.abc import Sequence
from typing import Any

from osakd import api
from osakd.cli.options import add_cluster_options, add_log, add_training_options, new_parser, parse, training_options


def command(argv: Sequence[str]) -> int:
    """Trains the runs of a comparison that are missing, and prints its table."""
    parser = new_parser(
        "compare", "Train several methods over several seeds and compare them. The same command continues after a stop."
    )
    parser.add_argument(
        "--data", type=str, default="digits", help="data set: name (osakd list), local folder, or hub id"
    )
    parser.add_argument(
        "--methods",
        type=str | dict[str, Any],
        nargs="+",
        default=list(api.DEFAULT_METHODS),
        help="methods: names, shorthands such as osakd-16nn, or (in a YAML file) name and settings",
    )
    parser.add_argument(
        "--seeds", type=int | list[int], default=api.DEFAULT_SEEDS, help="number of seeds, or a list [3, 4]"
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="folder of the comparison; by default runs/DATA-MODEL"
    )
    parser.add_argument("--processes", type=int | None, default=None, help="number of cores to use; by default all")
    add_cluster_options(parser)
    add_log(parser)
    add_training_options(parser)
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd.cli.progress import ComparisonProgress, continue_with, print_comparison

    incomplete = None
    with ComparisonProgress() as progress, continue_with("compare", *argv):
        try:
            comparison = api.compare(
                found.data,
                methods=found.methods,
                seeds=found.seeds,
                out=found.out,
                processes=found.processes,
                scheduler=found.scheduler,
                submitit=found.submitit,
                on_progress=progress.on_progress,
                log=found.log,
                **training_options(found),
            )
        except api.IncompleteError as failed:
            comparison, incomplete = failed.comparison, failed
    print_comparison(comparison.column)
    print(f"Every value and the curves are in {comparison.folder}/ (summary.json, curves.svg, curves.png).")
    print(f"Open {comparison.folder}/report.html in a browser to see them.")
    if incomplete is not None:
        raise incomplete
    return 0
