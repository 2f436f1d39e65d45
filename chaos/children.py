"""The runs that faults are injected into, each trained by a forked process that may be killed."""

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch

import osakd
from osakd import records
from osakd.data.sources import load_data
from osakd.engine import loop
from osakd.engine.config import Options
from osakd.engine.plan import DataSource, plan_runs
from osakd.engine.state import read_checkpoints
from osakd.errors import InputError, RunError
from osakd.runner.run import run_plans

SMALL: dict[str, Any] = {"epochs": 4, "validation": 0.4, "batch_size": 32, "device": "cpu"}
METHODS: tuple[dict[str, Any], ...] = ({"name": "osakd", "k": 5, "pool": "memory"}, {"name": "ps-kd"})
"""Two methods that keep outputs of earlier steps."""
EXECUTORS: dict[str, dict[str, Any]] = {
    "serial": {"executor": "serial", "kernels": "torch"},
    "serial/native": {"executor": "serial", "kernels": "native"},
    "serial bf16": {"executor": "serial", "kernels": "torch", "precision": "bf16"},
    "fused/channels": {"executor": "fused", "kernels": "torch"},
    "fused/native": {"executor": "fused", "kernels": "native"},
    "fused/channels bf16": {"executor": "fused", "kernels": "torch", "precision": "bf16"},
}
"""Every executor of a CPU, and two of them in another precision."""
EVERY_EPOCH = "from osakd.engine import loop; loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0"
"""What Python does first in processes that are killed, so that they save every epoch."""
REFUSED = 3
"""Exit status of a child that ended with an error of ours."""


class At(osakd.Callback):
    """Does something before the first step of an epoch."""

    def __init__(self, epoch: int, act: Callable[[], object]) -> None:
        self.epoch, self.act = epoch, act

    def on_step_begin(self, epoch: int, step: int) -> None:
        """Does it there."""
        if (epoch, step) == (self.epoch, 0):
            self.act()


def train(folder: Path, executor: str = "serial") -> None:
    """Trains a run of each method, or goes on with them."""
    compare(METHODS, folder, **EXECUTORS[executor])


def train_one(folder: Path, *callbacks: osakd.Callback) -> None:
    """Trains the run of the first method alone, or goes on with it."""
    loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    options: dict[str, Any] = EXECUTORS["serial"] | SMALL
    osakd.train("digits", method=METHODS[0], out=folder, resume=True, callbacks=callbacks, **options)


def compare(methods: Sequence[str | Mapping[str, Any]], folder: Path, **options: Any) -> Path:
    """Trains a run of each method in this process, without a report; the folder of the first.

    Raises:
        InputError: the error of a run that failed.
        RunError: as above.
    """
    loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    plans = plan_runs(DataSource("digits"), methods, [0], Options(**(SMALL | options)), folder)
    errors = run_plans(plans, processes=1, on_progress=lambda _: None)
    if errors:
        raise next(iter(errors.values()))
    return plans[0].folder


def start(work: Callable[[], object], log: Path) -> int:
    """Starts work in a forked process, which writes the error that it ends with to the log; its number."""
    number = os.fork()
    if number:
        return number
    status, text = 1, ""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            returned = work()
        status = returned if isinstance(returned, int) else 0
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


def undisturbed(place: Path, executor: str = "serial") -> Path:
    """The folder of runs that nothing disturbs, made once."""
    folder = place / f"undisturbed-{executor.replace('/', '-').replace(' ', '-')}"
    if not folder.exists():
        status, text = run(lambda: train(folder, executor), place / "log")
        if status:
            raise RuntimeError(f"the undisturbed run failed: {text}")
    return folder


def undisturbed_one(place: Path) -> Path:
    """The undisturbed run of the first method."""
    return next(undisturbed(place).glob("osakd-*seed0"))


def continued(work: Callable[[], object], folder: Path, reference: Path, log: Path) -> str:
    """What differs from the undisturbed runs once this work has gone on with them to the end; empty for nothing."""
    status, text = run(work, log)
    return difference(folder, reference) if status == 0 else f"exit {status}: {text}"


def difference(folder: Path, reference: Path) -> str:
    """What differs between two finished runs, or folders of runs; empty where they are equal bit for bit."""
    for expected in [reference] if (reference / records.CONFIG).exists() else sorted(reference.glob("*-seed*")):
        made = folder if expected == reference else folder / expected.name
        if records.read_result(made) is None:
            return f"{made.name} has not finished"
        for name in ("method", "average"):
            mine, theirs = (_state(run, name) for run in (made, expected))
            if mine.keys() != theirs.keys() or any(not torch.equal(mine[key], theirs[key]) for key in mine):
                return f"other {name} in {made.name}"
        if (made / records.STUDENT).read_bytes() != (expected / records.STUDENT).read_bytes():
            return f"another network in {made.name}"
        if _curve(made) != _curve(expected):
            return f"another curve in {made.name}"
    return ""


def epoch_of(folder: Path) -> int:
    """The last epoch that the run in a folder can continue from."""
    return read_checkpoints(folder, torch.device("cpu"))[0]["epoch"]


def prepare() -> None:
    """Loads what the children need, once for all of them."""
    import torch._dynamo  # PyTorch itself imports it with the first optimizer, for seconds

    torch.set_num_threads(1)
    load_data("digits")


def say(*words: str) -> None:
    """Tells how far the faults are, beside the table."""
    print(*words, file=sys.stderr, flush=True)


def _curve(folder: Path) -> list[dict[str, Any]]:
    """The learning curve without times."""
    timing = ("seconds", "images_per_second")
    return [{key: value for key, value in row.items() if key not in timing} for row in records.read_metrics(folder)]


def _state(folder: Path, name: str) -> dict[str, torch.Tensor]:
    state = torch.load(folder / records.CHECKPOINT, weights_only=True).get(name) or {}
    return {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
