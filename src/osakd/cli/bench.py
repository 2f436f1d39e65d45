"""``osakd bench``: how fast it is here, against an ordinary script and against the goals."""

from collections.abc import Sequence
from pathlib import Path

from osakd.cli.options import new_parser, parse
from osakd.errors import InputError
from osakd.paths import given_path


def command(argv: Sequence[str]) -> int:
    """Runs the benchmark and prints its table."""
    parser = new_parser("bench", "Time training steps side by side with an ordinary script. Keep the machine idle.")
    parser.add_argument("--out", type=str, default="runs/bench", help="folder for the record, the table and the curves")
    parser.add_argument("--device", type=str | None, default=None, help="cpu, cuda or cuda:N; cuda where there is one")
    parser.add_argument("--steps", type=int | None, default=None, help="in each round; by default 40, on a GPU 400")
    found = parse(parser, argv)
    if found is None:
        return 0
    if found.steps is not None and found.steps < 1:
        raise InputError(f"`steps` must be at least 1, got {found.steps}.")

    import osakd
    from osakd.benchmark.run import run

    script = Path(str(osakd.__file__)).resolve().parents[2] / "benchmarks" / "plain_script.py"
    out = given_path(found.out)
    print(run(out, found.device, script=script, steps=found.steps, say=lambda text: print(text, flush=True)))
    print(f"Every value is in {out}/.")
    return 0
