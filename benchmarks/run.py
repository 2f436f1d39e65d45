"""The benchmark: builds the contenders, times them in turn, and writes the record, the table and the curves.

python -m benchmarks.run --out benchmarks/records
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import contenders as c
from benchmarks.curves import write_curves
from benchmarks.floors import Rates, best_of, measure_rates, search_step, training_step
from benchmarks.goals import EPOCHS, FASHION_SCRIPT, SCRIPT, STEPS_PER_EPOCH, extrapolations, lines, table
from osakd.durable import write_atomic, write_json
from osakd.engine.allocator import keep_freed_memory
from osakd.engine.environment import current, environment, pick_device
from osakd.engine.precision import matmul_precision
from osakd.engine.timing import IMAGES, Contender, Timed, interleaved, synthetic_images
from osakd.errors import InputError, RunError, as_sentences

WARM_UP = 20
ROUNDS = {"cpu": 10, "cuda": 5}
"""Number of rounds; fewer on a GPU, since the plain script starts anew in each."""
STEPS = {"cpu": 40, "cuda": 400}
"""Number of steps in a round; rounds are short, since the speed of a machine drifts between them."""
SLOW_SHARE, CURVE_SHARE = 2, 5
"""A contender with long steps is timed for half of the steps in each round, a point of a curve for a fifth."""
REPLICAS = {1: (1, 1), 3: (1, 3), 5: (5, 1), 15: (5, 3), 45: (15, 3)}
"""Seeds and methods for each number of replicas."""
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
    options = parser.parse_args(argv)
    try:
        print(run(options.out, options.device, steps=options.steps, show=lambda text: print(text, flush=True)))
    except (InputError, RunError) as error:
        print(f"benchmarks.run: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    print(f"Every value is in {options.out}/.")
    return 0


def run(out: Path, device_name: str | None, *, steps: int | None, show: Callable[[str], None]) -> str:
    """Times everything and writes ``<device>-<commit>.json``, ``.md`` and ``.svg`` to ``out``.

    Args:
        out: folder of records.
        device_name: as ``--device``.
        steps: number of steps in a round; by default 40 on a CPU, 400 on a GPU.
        show: called with a line of text before each group of contenders.

    Returns:
        The table.

    Raises:
        InputError: a number of steps below 1, or an unknown device.
    """
    if steps is not None and steps < 1:
        raise InputError(f"`steps` must be at least 1, got {steps}.")
    device = pick_device(device_name)
    keep_freed_memory()
    made_by = environment(device) | {"processor": _processor(), "cores": torch.get_num_threads()}
    steps, rounds = STEPS[device.type] if steps is None else steps, ROUNDS[device.type]
    begin = time.perf_counter()
    rates = measure_rates(device)
    with as_sentences(out):
        out.mkdir(parents=True, exist_ok=True)
    path = out / f"{device.type}-{(made_by['commit'] or 'unknown').replace('+', '-changed')}.json"
    record = {"made_by": made_by, "rounds": rounds, "steps": steps, "warm_up": WARM_UP}
    seconds: dict[str, list[float]] = {}
    text = ""
    # As in runs, float32 on a GPU is IEEE float32. The plain script keeps torch's defaults, as most scripts do.
    with matmul_precision("float32", device), current(device):
        for title, group in _groups(device, steps).items():
            show(f"{title} ({time.perf_counter() - begin:.0f} s so far)")
            seconds |= interleaved(group, rounds, warm_up=steps if device.type == "cuda" else WARM_UP)
            if "python -c pass" in seconds:
                pairs = zip(seconds["python -c 'import osakd'"], seconds["python -c pass"], strict=True)
                seconds["import osakd"] = [with_it - without for with_it, without in pairs]
            if "fused 15" in seconds:
                seconds["column of Table I"] = [EPOCHS * STEPS_PER_EPOCH * value for value in seconds["fused 15"]]
            rates = best_of(rates, measure_rates(device))  # other load on the machine changes
            floors = _floors(rates, device)
            text = _text(seconds, floors, rates, steps, time.perf_counter() - begin, gpu=device.type == "cuda")
            write_json(path, record | {"rates": rates._asdict(), "floors": floors, "seconds_per_step": seconds})
            write_atomic(path.with_suffix(".md"), f"{text}\n".encode())
            write_curves(seconds, path.with_suffix(".svg"))
    return text


def _text(
    seconds: Mapping[str, list[float]], floors: Mapping[str, float], rates: Rates, steps: int, took: float, *, gpu: bool
) -> str:
    return "\n".join(
        [
            table(lines(seconds, floors, gpu=gpu)), "",
            f"Medians of {ROUNDS['cuda' if gpu else 'cpu']} rounds, ratios within each; a round is {steps} steps, "
            f"{max(1, steps // SLOW_SHARE)} of a slow contender, {max(1, steps // CURVE_SHARE)} of a curve, after "
            f"{WARM_UP} of warm-up. Floors: {rates.operations / 1e9:.0f} GFLOP/s and {rates.bytes / 1e9:.0f} GB/s, the "
            f"best of this run. The benchmark took {took:.0f} s.", "",
            *(f"- {line}" for line in extrapolations(seconds)),
        ]
    )  # fmt: skip


def _groups(device: torch.device, steps: int) -> dict[str, dict[str, Timed]]:
    """The contenders by group; those of a group are timed side by side."""
    cuda = device.type == "cuda"
    split = synthetic_images(device)
    some, few = max(1, steps // SLOW_SHARE), max(1, steps // CURVE_SHARE)
    resnet = "resnet32" if cuda else "resnet20"

    def single(method: Any, **options: Any) -> Callable[[], Contender]:
        return lambda: c.single(method, split, cuda_graph=cuda, **options)

    def fused(replicas: int, kernels: str = "auto") -> Callable[[], Contender]:
        seeds, methods = REPLICAS[replicas]
        return lambda: c.fused(seeds, c.COLUMN[:methods], split, cuda_graph=cuda, kernels=kernels)

    def plain(workers: int, threads: int, model: str = "lenet") -> Callable[[], Contender]:
        return lambda: c.plain_script(workers=workers, threads=threads, device=device.type, model=model)

    lenet = {
        SCRIPT[0]: Timed(plain(0, 2), steps),
        SCRIPT[1]: Timed(plain(2, 1), steps),
        "lenet plain": Timed(single("plain"), steps),
        "fused 15": Timed(fused(15), steps),
        "lenet osakd": Timed(single("osakd"), steps),
        "lenet memory": Timed(lambda: _filled(single(c.MEMORY)()), steps),
    }
    fashion: dict[str, Timed] = {}
    if not cuda:
        lenet |= {
            "lenet plain, torch": Timed(single("plain", kernels="torch"), some),
            "lenet plain, one thread": Timed(single("plain", threads=1), some),
            "fused 15, torch": Timed(fused(15, "torch"), few),
        }
        small = synthetic_images(device, FASHION_SHAPE)
        fashion = {
            FASHION_SCRIPT: Timed(plain(0, 2, model="lenet-fashion"), some),
            "fashion plain": Timed(lambda: c.single("plain", small, model="lenet-fashion"), some),
        }
        lenet["two processes"] = Timed(lambda: c.processes(2, "plain"), steps)
    resnets = {f"resnet {name}": Timed(single(name, model=resnet), some) for name in ("plain", "osakd")}
    if cuda:
        resnets["resnet memory"] = Timed(single(c.MEMORY, model=resnet), some)
    searches = {f"search {rows}": Timed(lambda rows=rows: c.search(rows, device), few) for rows in MEMORY_ROWS}
    searches["search"] = Timed(lambda: c.search(IMAGES, device), steps)
    searches["product and topk"] = Timed(lambda: c.search(IMAGES, device, ours=False), steps)
    curves = {f"replicas {count}": Timed(fused(count), few) for count in REPLICAS}
    for batch in BATCHES:
        for method in ("plain", "osakd"):
            curves[f"{method}, batch {batch}"] = Timed(single(method, batch=batch), few)
    starts = {
        "osakd --help": Timed(lambda: c.start("-m", "osakd", "--help"), 1),
        "python -c pass": Timed(lambda: c.start("-c", "pass"), 1),
        "python -c 'import osakd'": Timed(lambda: c.start("-c", "import osakd"), 1),
    }
    demo = {"make demo": Timed(c.demo, 1)}
    return {
        "LeNet": lenet, "lenet-fashion": fashion, f"{resnet}": resnets,
        "search over a memory": searches, "cost as work grows": curves,
        "start": starts, "make demo": demo,
    }  # fmt: skip


def _filled(contender: Contender) -> Contender:
    """Runs one epoch, after which the memory has an output of every image, as after the first epoch of a run."""
    contender(-(-IMAGES // c.BATCH))
    return contender


def _floors(rates: Rates, device: torch.device) -> dict[str, float]:
    lenet, search = training_step("lenet").floor(rates), search_step().floor(rates)
    resnet = training_step("resnet32" if device.type == "cuda" else "resnet20").floor(rates)
    fashion = training_step("lenet-fashion", shape=FASHION_SHAPE).floor(rates)
    return {
        "lenet": lenet, "lenet x 15": 15 * lenet, "lenet, one thread": torch.get_num_threads() * lenet,
        "lenet-fashion": fashion, "resnet": resnet, "search": search,
        "lenet + search": lenet + search, "resnet + search": resnet + search,
    }  # fmt: skip


def _processor() -> str:
    try:
        lines_of_file = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines_of_file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
