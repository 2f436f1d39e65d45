"""The benchmark: builds the workloads, times them in turn, and writes the record, the table and the curves.

python -m benchmarks.run --out benchmarks/records
python -m benchmarks.run --against path/to/another/checkout
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import workloads as w
from benchmarks.against import side_by_side
from benchmarks.curves import write_curves
from benchmarks.rows import FASHION_SCRIPT, LOSS_CLASSES, SCRIPT, Seconds, extrapolations, table
from osakd.durable import write_atomic, write_json
from osakd.engine.allocator import keep_freed_memory
from osakd.engine.environment import current, environment, pick_device
from osakd.engine.precision import matmul_precision
from osakd.engine.timing import IMAGES, Timed, interleaved, synthetic_images
from osakd.errors import InputError, RunError, as_sentences

WARM_UP = 20
ROUNDS = {"cpu": 10, "cuda": 5}
"""Number of rounds; fewer on a GPU, since the plain script starts anew in each."""
STEPS = {"cpu": 40, "cuda": 400}
"""Number of steps in a round; rounds are short, since the speed of a machine drifts between them."""
SLOW_SHARE, CURVE_SHARE = 2, 5
"""A workload with long steps is timed for half of the steps in each round, a point of a curve for a fifth."""
REPLICAS = {1: (1, 1), 3: (1, 3), 5: (5, 1), 15: (5, 3), 45: (15, 3)}
"""Seeds and methods for each number of replicas."""
AVERAGED = 0.999
"""A decay of averaged weights; any takes the same time."""
FASHION_SHAPE = (1, 28, 28)
MEMORY_ROWS, BATCHES = (10_000, 50_000, 200_000, 1_000_000), (64, 128, 256, 512, 1024)


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark, prints its table, and returns the exit code: 2 for the user's mistake, 1 for a failure."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.run",
        description="Time training steps side by side with an ordinary script. Keep the machine idle.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder for record, table and curves")
    parser.add_argument("--device", help="cpu, cuda or cuda:N; by default cuda if there is one")
    parser.add_argument("--steps", type=int, help="number of steps in a round; by default 40, on a GPU 400")
    parser.add_argument("--rounds", type=int, help="number of rounds; by default 10, on a GPU 5")
    parser.add_argument("--workloads", nargs="+", default=[], metavar="NAME", help="some workloads; by default all")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="time another checkout in turn with this one")
    options = parser.parse_args(argv)
    try:
        for name in ("steps", "rounds"):
            if getattr(options, name) is not None and getattr(options, name) < 1:
                raise InputError(f"`{name}` must be at least 1, got {getattr(options, name)}.")
        device = pick_device(options.device)
        steps, rounds = options.steps or STEPS[device.type], options.rounds or ROUNDS[device.type]
        if options.against:
            print(side_by_side(options.against, options.workloads, rounds=rounds, steps=steps, device=str(device)))
        else:
            print(run(options.out, device, options.workloads, rounds=rounds, steps=steps))
            print(f"Every value is in {options.out}/.")
    except (InputError, RunError) as error:
        print(f"benchmarks.run: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


def run(out: Path, device: torch.device, names: Sequence[str], *, rounds: int, steps: int) -> str:
    """Times everything and writes ``<device>-<commit>.json``, ``.md`` and ``.svg`` to ``out``.

    Args:
        out: folder of records.
        device: device to train on.
        names: the workloads; all where it is empty.
        rounds: number of rounds.
        steps: number of steps in a round.

    Returns:
        The table.
    """
    keep_freed_memory()
    made_by = environment(device) | {"processor": _processor(), "cores": torch.get_num_threads()}
    begin = time.perf_counter()
    with as_sentences(out):
        out.mkdir(parents=True, exist_ok=True)
    path = out / f"{device.type}-{(made_by['commit'] or 'unknown').replace('+', '-changed')}.json"
    record = {"made_by": made_by, "rounds": rounds, "steps": steps, "warm_up": WARM_UP}
    seconds: dict[str, list[float]] = {}
    text = ""
    # As in runs, float32 on a GPU is IEEE float32. The plain script keeps torch's defaults, as most scripts do.
    with matmul_precision("float32", device), current(device):
        for title, group in groups(device, steps).items():
            chosen = {name: timed for name, timed in group.items() if not names or name in names}
            print(f"{title} ({time.perf_counter() - begin:.0f} s so far)", flush=True)
            seconds |= interleaved(chosen, rounds, warm_up=steps if device.type == "cuda" else WARM_UP)
            if {"python -c pass", "python -c 'import osakd'"} <= set(seconds):
                pairs = zip(seconds["python -c 'import osakd'"], seconds["python -c pass"], strict=True)
                seconds["import osakd"] = [with_it - without for with_it, without in pairs]
            text = _text(seconds, rounds, steps, time.perf_counter() - begin)
            write_json(path, record | {"seconds_per_step": seconds})
            write_atomic(path.with_suffix(".md"), f"{text}\n".encode())
            write_curves(seconds, path.with_suffix(".svg"))
    return text


def groups(device: torch.device, steps: int) -> dict[str, dict[str, Timed]]:
    """The workloads by group; those of a group are timed side by side."""
    cuda = device.type == "cuda"
    split = synthetic_images(device)
    some, few = max(1, steps // SLOW_SHARE), max(1, steps // CURVE_SHARE)
    resnet = "resnet32" if cuda else "resnet20"

    def single(method: Any, **options: Any) -> Callable[[], w.Steps]:
        return lambda: w.single(method, split, cuda_graph=cuda, **options)

    def fused(replicas: int, kernels: str = "auto") -> Callable[[], w.Steps]:
        seeds, methods = REPLICAS[replicas]
        return lambda: w.fused(seeds, w.COLUMN[:methods], split, cuda_graph=cuda, kernels=kernels)

    def plain(workers: int, threads: int, model: str = "lenet") -> Callable[[], w.Steps]:
        return lambda: w.plain_script(workers=workers, threads=threads, device=device.type, model=model)

    lenet = {
        SCRIPT[0]: Timed(plain(0, 2), steps),
        SCRIPT[1]: Timed(plain(2, 1), steps),
        "lenet plain": Timed(single("plain"), steps),
        "fused 15": Timed(fused(15), steps),
        "lenet osakd": Timed(single("osakd"), steps),
        "lenet queue": Timed(single("osakd-queue"), steps),
        "lenet averaged": Timed(single("plain", ema=AVERAGED), steps),
        "lenet memory": Timed(lambda: _filled(single(w.MEMORY)()), steps),
    }
    fashion: dict[str, Timed] = {}
    if not cuda:
        lenet |= {
            "lenet plain, torch": Timed(single("plain", kernels="torch"), some),
            "lenet plain, one thread": Timed(single("plain", threads=1), some),
            "fused 15, torch": Timed(fused(15, "torch"), few),
            "two processes": Timed(lambda: w.processes(2, "plain"), steps),
        }
        small = synthetic_images(device, FASHION_SHAPE)
        fashion = {
            FASHION_SCRIPT: Timed(plain(0, 2, model="lenet-fashion"), some),
            "fashion plain": Timed(lambda: w.single("plain", small, model="lenet-fashion"), some),
        }
    resnets = {f"resnet {name}": Timed(single(name, model=resnet), some) for name in ("plain", "osakd")}
    if cuda:
        resnets["resnet memory"] = Timed(single(w.MEMORY, model=resnet), some)
    searches = {f"search {rows}": Timed(lambda rows=rows: w.search(rows, device), few) for rows in MEMORY_ROWS}
    searches["search"] = Timed(lambda: w.search(IMAGES, device), steps)
    searches["product and topk"] = Timed(lambda: w.search(IMAGES, device, ours=False), steps)
    curves = {f"replicas {count}": Timed(fused(count), few) for count in REPLICAS}
    for batch in BATCHES:
        for method in ("plain", "osakd"):
            curves[f"{method}, batch {batch}"] = Timed(single(method, batch=batch), few)
    losses = {}
    for classes in LOSS_CLASSES:
        losses[f"loss {classes}"] = Timed(lambda classes=classes: w.loss(classes, device), few)
        losses[f"cross-entropy {classes}"] = Timed(lambda classes=classes: w.loss(classes, device, ours=False), few)
    starts = {
        "osakd --help": Timed(lambda: w.start("-m", "osakd", "--help"), 1),
        "python -c pass": Timed(lambda: w.start("-c", "pass"), 1),
        "python -c 'import osakd'": Timed(lambda: w.start("-c", "import osakd"), 1),
    }
    return {
        "LeNet": lenet, "lenet-fashion": fashion, resnet: resnets,
        "search over a memory": searches, "cost as work grows": curves,
        "losses": losses, "start": starts, "make demo": {"make demo": Timed(w.demo, 1)},
    }  # fmt: skip


def _text(seconds: Seconds, rounds: int, steps: int, took: float) -> str:
    words = (
        f"Medians of {rounds} rounds, ratios within each; a round is {steps} steps, {max(1, steps // SLOW_SHARE)} of a "
        f"slow workload, {max(1, steps // CURVE_SHARE)} of a curve, after {WARM_UP} of warm-up. The benchmark took "
        f"{took:.0f} s."
    )
    return "\n".join([table(seconds), "", words, "", *(f"- {line}" for line in extrapolations(seconds))])


def _filled(workload: w.Steps) -> w.Steps:
    """Runs one epoch, after which the memory has an output of every image, as after the first epoch of a run."""
    workload(-(-IMAGES // w.BATCH))
    return workload


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
