"""The benchmark: builds the contenders, times them in turn, and writes the record, the table and the curves."""

import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from osakd.benchmark import contenders as c
from osakd.benchmark.curves import write_curves
from osakd.benchmark.floors import Rates, best_of, measure_rates, search_step, training_step
from osakd.benchmark.goals import EPOCHS, SCRIPT, STEPS_PER_EPOCH, extrapolations, lines, table
from osakd.engine.allocator import keep_freed_memory
from osakd.engine.environment import current, environment, pick_device
from osakd.engine.precision import matmul_precision
from osakd.errors import InputError
from osakd.records import as_sentences, write_atomic, write_json

WARM_UP = 20
ROUNDS = {"cpu": 10, "cuda": 5}
"""On a GPU fewer: the plain script starts anew in each, and the machine is one's own."""
STEPS = {"cpu": 40, "cuda": 400}
"""In a round; short ones, since the speed of a machine drifts from one to the next."""
SLOW_SHARE, CURVE_SHARE = 2, 5
"""A contender whose step takes long is timed for half of the steps in each round, a point of a curve for a fifth."""
REPLICAS = {1: (1, 1), 3: (1, 3), 5: (5, 1), 15: (5, 3), 45: (15, 3)}
"""Seeds and methods of so many replicas."""
MEMORY_ROWS, BATCHES = (10_000, 50_000, 200_000, 1_000_000), (64, 128, 256, 512, 1024)


class Timed(NamedTuple):
    """A contender and its steps in a round."""

    build: Callable[[], c.Contender]
    steps: int


def run(out: Path, device_name: str | None, *, script: Path, steps: int | None, say: Callable[[str], None]) -> str:
    """Times everything and writes ``<device>-<commit>.json``, ``.md`` and ``.svg`` under ``out``.

    Args:
        out: folder of records.
        device_name: as ``--device``.
        script: the plain script.
        steps: in a round; by default 40 on a CPU, 400 on a GPU.
        say: is told what is timed.

    Returns:
        The table.

    Raises:
        InputError: the plain script is not there.
    """
    if not script.is_file():
        raise InputError(
            f"osakd bench needs a checkout of osakd: the script that it compares with is missing ({str(script)!r})."
        )
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
    # As runs are: a GPU's float32 is IEEE's. The plain script keeps torch's own defaults, as most scripts do.
    with matmul_precision("float32", device), current(device):
        for title, group in _groups(device, script, steps).items():
            say(f"{title} ({time.perf_counter() - begin:.0f} s so far)")
            seconds |= interleaved(group, rounds, warm_up=steps if device.type == "cuda" else WARM_UP)
            if "python -c pass" in seconds:
                pairs = zip(seconds["python -c 'import osakd'"], seconds["python -c pass"], strict=True)
                seconds["import osakd"] = [with_it - without for with_it, without in pairs]
            if "fused 15" in seconds:
                seconds["column of Table I"] = [EPOCHS * STEPS_PER_EPOCH * value for value in seconds["fused 15"]]
            rates = best_of(rates, measure_rates(device))  # other tenants of the machine come and go
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


def interleaved(group: Mapping[str, Timed], rounds: int, *, warm_up: int = WARM_UP) -> dict[str, list[float]]:
    """Seconds per step of each contender in each round, one after another in every round."""
    built = {name: (timed.build(), timed.steps) for name, timed in group.items()}
    for contender, steps in built.values():
        contender(min(warm_up, steps))
    found: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(rounds):
        for name, (contender, steps) in built.items():
            found[name].append(contender(steps) / steps)
    return found


def _groups(device: torch.device, script: Path, steps: int) -> dict[str, dict[str, Timed]]:
    """What is compared is timed side by side."""
    cuda = device.type == "cuda"
    split = c.made_images(device)
    some, few = max(1, steps // SLOW_SHARE), max(1, steps // CURVE_SHARE)
    resnet = "resnet32" if cuda else "resnet20"

    def single(method: Any, **options: Any) -> Callable[[], c.Contender]:
        return lambda: c.single(method, split, cuda_graph=cuda, **options)

    def fused(replicas: int) -> Callable[[], c.Contender]:
        seeds, methods = REPLICAS[replicas]
        return lambda: c.fused(seeds, c.COLUMN[:methods], split, cuda_graph=cuda)

    def plain(workers: int, threads: int) -> Callable[[], c.Contender]:
        return lambda: c.plain_script(script, workers=workers, threads=threads, device=device.type)

    lenet = {
        SCRIPT[0]: Timed(plain(0, 2), steps),
        SCRIPT[1]: Timed(plain(2, 1), steps),
        "lenet plain": Timed(single("plain"), steps),
        "fused 15": Timed(fused(15), steps),
        "lenet osakd": Timed(single("osakd"), steps),
        "lenet memory": Timed(lambda: _filled(single(c.MEMORY)()), steps),
    }
    if not cuda:
        lenet["two processes"] = Timed(lambda: c.processes(2, "plain"), steps)
    resnets = {f"resnet {name}": Timed(single(name, model=resnet), some) for name in ("plain", "osakd")}
    if cuda:
        resnets["resnet memory"] = Timed(single(c.MEMORY, model=resnet), some)
    searches = {f"search {rows}": Timed(lambda rows=rows: c.search(rows, device), few) for rows in MEMORY_ROWS}
    searches["search"] = Timed(lambda: c.search(c.ROWS, device), steps)
    searches["product and topk"] = Timed(lambda: c.search(c.ROWS, device, ours=False), steps)
    curves = {f"replicas {count}": Timed(fused(count), few) for count in REPLICAS}
    for batch in BATCHES:
        for method in ("plain", "osakd"):
            curves[f"{method}, batch {batch}"] = Timed(single(method, batch=batch), few)
    starts = {
        "osakd --help": Timed(lambda: c.start("-m", "osakd", "--help"), 1),
        "python -c pass": Timed(lambda: c.start("-c", "pass"), 1),
        "python -c 'import osakd'": Timed(lambda: c.start("-c", "import osakd"), 1),
    }
    return {
        "LeNet": lenet, f"{resnet}": resnets, "search over a memory": searches, "cost as work grows": curves,
        "start": starts,
    }  # fmt: skip


def _filled(contender: c.Contender) -> c.Contender:
    """After an epoch the memory holds an output of every image, as in all but the first epoch of a run."""
    contender(-(-c.ROWS // c.BATCH))
    return contender


def _floors(rates: Rates, device: torch.device) -> dict[str, float]:
    lenet, search = training_step("lenet").floor(rates), search_step().floor(rates)
    resnet = training_step("resnet32" if device.type == "cuda" else "resnet20").floor(rates)
    return {
        "lenet": lenet, "lenet x 15": 15 * lenet, "resnet": resnet, "search": search,
        "lenet + search": lenet + search, "resnet + search": resnet + search,
    }  # fmt: skip


def _processor() -> str:
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return next(line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
