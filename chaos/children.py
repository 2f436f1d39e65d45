"""The runs that faults are injected into, each in a forked process that may be killed."""

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from osakd.runner.planning import plan_comparison

from osakd import records
from osakd.data.sources import load_data
from osakd.engine import loop
from osakd.engine.config import Options
from osakd.engine.executors.policy import Sharing
from osakd.engine.executors.registry import EXECUTORS
from osakd.engine.state import read_checkpoints
from osakd.errors import InputError, RunError
from osakd.runner import run as runner

EPOCHS = 4
METHODS: tuple[dict[str, Any], ...] = (
    {"name": "osakd", "k": 5, "pool": "memory"},
    {"name": "bayesian-self-distillation"},
)
LOWERINGS = (
    "serial",
    "serial/native",
    "serial bf16",
    "fused/channels",
    "fused/native",
    "fused/vmap",
    "fused/channels bf16",
)
"""Every executor of a single process on a CPU by its own name, and two of them in another precision."""
REFUSED = 3
"""Exit status of a child that ended with an error of ours."""


def train(folder: Path, lowering: str = "serial") -> None:
    """Trains a memory and a record of evidence, each with an average of the weights, or continues; they are small."""
    loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    options, name = options_of(lowering), lowering.partition(" ")[0]
    _, jobs = plan_comparison("digits", METHODS, [0], options, folder)
    if EXECUTORS[name].shares_program:  # not the fastest of them, which may be another one next time
        runner.sharing = lambda *_, **__: Sharing((name,), optional=False)
    errors = runner.run_jobs(jobs, processes=1, on_progress=lambda _: None)
    if errors:
        raise next(iter(errors.values()))


def options_of(lowering: str, **more: Any) -> Options:
    """The options of a small training with an executor and, after a space, a precision."""
    name, _, precision = lowering.partition(" ")
    given = {"epochs": EPOCHS, "fraction": 0.4, "batch_size": 32, "ema": 0.9, "device": "cpu"} | more
    return Options(
        executor=name.partition("/")[0],
        kernels="native" if EXECUTORS[name].native else "torch",
        precision="bf16" if precision else "float32",
        **given,
    )


def start(work: Callable[[], object], log: Path) -> int:
    """Starts work in a forked process, which writes what it ends with to the log; its number."""
    number = os.fork()
    if number:
        return number
    status, text = 1, ""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            found = work()
        status = found if isinstance(found, int) else 0
    except (InputError, RunError) as error:
        status, text = REFUSED, str(error)
    except BaseException:
        text = traceback.format_exc()
    finally:
        log.write_text(text, encoding="utf-8")
        os._exit(status)


def ended(number: int) -> int:
    """Waits for a process; its exit status, or minus the number of the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def run(work: Callable[[], object], log: Path) -> tuple[int, str]:
    """Does work in a process of its own; its exit status, and the error that it ended with."""
    log.unlink(missing_ok=True)
    status = ended(start(work, log))
    return status, log.read_text(encoding="utf-8") if log.exists() else ""


def difference(ours: Path, reference: Path) -> str:
    """What differs between two folders of finished runs; empty where they are equal bit for bit."""
    for expected in sorted(reference.glob("*-seed*")):
        found = ours / expected.name
        if records.read_result(found) is None:
            return f"{found.name} has not finished"
        for name in ("method", "average"):
            mine, theirs = (_state(folder, name) for folder in (found, expected))
            if mine.keys() != theirs.keys() or any(not torch.equal(mine[key], theirs[key]) for key in mine):
                return f"other {name} in {found.name}"
        if (found / records.STUDENT).read_bytes() != (expected / records.STUDENT).read_bytes():
            return f"another network in {found.name}"
        if curve(found) != curve(expected):
            return f"another curve in {found.name}"
    return ""


def curve(folder: Path) -> list[dict[str, Any]]:
    """The learning curve without times."""
    timing = ("seconds", "images_per_second")
    return [{key: value for key, value in row.items() if key not in timing} for row in records.read_metrics(folder)]


def epoch_of(folder: Path) -> int:
    """The last epoch that the run in a folder can continue from."""
    return read_checkpoints(folder, torch.device("cpu"))[0]["epoch"]


def prepare() -> None:
    """Loads what the children need, once for all of them."""
    import torch._dynamo  # PyTorch itself imports it with the first optimizer, for seconds

    import osakd.engine.executors.fused.executor
    import osakd.engine.executors.native.serial
    import osakd.engine.executors.serial
    import osakd.engine.train  # noqa: F401

    torch.set_num_threads(1)
    load_data("digits")


def say(*words: str) -> None:
    """Tells how far the faults are, beside the table."""
    print(*words, file=sys.stderr, flush=True)


def _state(folder: Path, name: str) -> dict[str, torch.Tensor]:
    found = torch.load(folder / records.CHECKPOINT, weights_only=True).get(name) or {}
    return {key: value for key, value in found.items() if isinstance(value, torch.Tensor)}
