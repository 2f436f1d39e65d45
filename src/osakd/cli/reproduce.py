"""``osakd reproduce``: a table or figure of the paper, ours beside theirs, its claims and costs, and our studies."""

from collections.abc import Sequence

from osakd import api
from osakd.cli.options import add_cluster_options, new_parser, parse
from osakd.engine.executors.registry import ExecutorName, KernelsName
from osakd.experiments.catalogue import NAMES


def command(argv: Sequence[str]) -> int:
    """Runs what is missing of an experiment, and prints its tables."""
    parser = new_parser("reproduce", "Run what is missing of a table of the paper, and show ours beside theirs.")
    parser.add_argument("name", type=str, help=f"experiment: {', '.join(NAMES)}")
    parser.add_argument(
        "--data",
        type=str,
        nargs="+",
        default=None,
        help="data sets to run or show: names, or local folders called like them",
    )
    parser.add_argument(
        "--columns", type=str, nargs="+", default=None, help="columns to run or show, by name; by default all"
    )
    parser.add_argument(
        "--cells", type=str, nargs="+", default=None, help="cells to run or show, by label; by default all"
    )
    parser.add_argument(
        "--seeds",
        type=int | list[int] | None,
        default=None,
        help="number of seeds, or a list; by default those of the experiment",
    )
    parser.add_argument(
        "--epochs", type=int | None, default=None, help="epochs of each run; by default those of the experiment"
    )
    parser.add_argument("--out", type=str, default="records", help="folder of the records")
    parser.add_argument("--dry_run", action="store_true", help="only show what is recorded and what is missing")
    parser.add_argument("--processes", type=int | None, default=None, help="number of cores to use; by default all")
    add_cluster_options(parser)
    parser.add_argument("--device", type=str | None, default=None, help="device to compute on: cpu, cuda or cuda:N")
    parser.add_argument("--executor", type=ExecutorName, default="auto", help="executor, see osakd compare")
    parser.add_argument("--kernels", type=KernelsName, default="auto", help="what computes small networks on a CPU")
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd.cli.progress import ComparisonProgress, continue_with

    with ComparisonProgress() as progress, continue_with("reproduce", *argv):
        shown = api.reproduce(
            found.name,
            data=found.data,
            columns=found.columns,
            cells=found.cells,
            seeds=found.seeds,
            epochs=found.epochs,
            out=found.out,
            dry_run=found.dry_run,
            processes=found.processes,
            scheduler=found.scheduler,
            device=found.device,
            executor=found.executor,
            kernels=found.kernels,
            on_progress=progress.on_progress,
        )
    print(shown.text)
    return 1 if shown.failed and not found.dry_run else 0
