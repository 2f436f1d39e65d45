"""Whole commands, whose processes are killed: a worker, the runner, a rank, a job, a part of a cluster."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.children import METHODS, difference, say
from chaos.outcome import Outcome
from osakd.errors import RunError
from osakd.records import LOCK, read_config, read_metrics, read_result

EPOCHS, SEEDS, PATIENCE = 16, 2, 240
SMALL = ["--epochs", str(EPOCHS), "--fraction", "0.4", "--batch-size", "32", "--ema", "0.9", "--device", "cpu"]
SERIAL = ["--executor", "serial", "--kernels", "torch"]
COMPARED = "compared"
EVERY_EPOCH = "import osakd.engine.loop\nosakd.engine.loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0\n"
"""What Python does first in every process of a command: it saves every epoch."""


def compare(out: Path, *more: str) -> list[str]:
    """A comparison of two methods over two seeds: four runs."""
    methods = [json.dumps(method) for method in METHODS]
    words = ["compare", "--methods", *methods, "--seeds", str(SEEDS), *SMALL, *SERIAL, "--out", str(out), *more]
    return [sys.executable, "-m", "osakd", *words]


def train_on_two_ranks(out: Path) -> list[str]:
    """A training by two processes, or its continuation."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "osakd"]
    method = ["--method", "osakd", "--method.k", "5", "--method.pool", "memory"]
    return [sys.executable, "-m", *launcher, "train", *method, *SMALL, "--out", str(out / "osakd-seed0"), "--resume"]


@contextmanager
def started(command: Sequence[str], place: Path) -> Iterator[subprocess.Popen[str]]:
    """A command in a session of its own; nothing of it is left."""
    (place / "sitecustomize.py").write_text(EVERY_EPOCH)
    path = os.pathsep.join([str(place), str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    with (place / "errors").open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command, without a shell
            command,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def finished(command: Sequence[str], place: Path) -> str:
    """What a command said that failed, after it has been given once more; empty where it ended well."""
    with started(command, place) as process:
        code = process.wait(PATIENCE)
    said = [line for line in (place / "errors").read_text().splitlines() if "osakd:" in line]
    return f"exit {code}: {' '.join(said)}" if code else ""


def trained_by(run: Path) -> int | None:
    """The process that holds the lock of a run."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if run / LOCK in [one.readlink() for one in (process / "fd").iterdir()]:
                return int(process.name)
    return None


def epochs_done(folder: Path) -> int:
    """Number of epochs in the curves of all runs in a folder."""
    done = 0
    for run in folder.glob("*-seed*"):
        with suppress(RunError):
            done += len(read_metrics(run))
    return done


def at_work(folder: Path, process: subprocess.Popen[str], epochs: int) -> list[int]:
    """The processes that train in a folder, once so many epochs are done; none where the command ends first."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if epochs_done(folder) >= epochs:
            at = [run for run in folder.glob("*-seed*") if read_config(run) and read_result(run) is None]
            found = [number for number in map(trained_by, at) if number is not None]
            if found:
                return found
        time.sleep(0.02)
    return []


def orphans(folder: Path) -> str:
    """What still trains in a folder a while after its command has ended: nothing may."""
    until = time.monotonic() + PATIENCE
    while left := [number for run in folder.glob("*-seed*") if (number := trained_by(run)) is not None]:
        if time.monotonic() > until:
            return f"the processes {left} go on without their runner"
        time.sleep(0.05)
    return ""


Command = Callable[[Path], list[str]]
Pick = Callable[[subprocess.Popen[str], list[int]], int]


def _runner(process: subprocess.Popen[str], trainers: list[int]) -> int:
    del trainers
    return process.pid


def _trainer(process: subprocess.Popen[str], trainers: list[int]) -> int:
    del process
    return trainers[0]


def _other_rank(process: subprocess.Popen[str], trainers: list[int]) -> int:
    """The rank that does not write."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = [int(one) for one in children if b"RANK=1\0" in Path(f"/proc/{one}/environ").read_bytes()]
    return ranks[0] if ranks else trainers[0]


def killed(
    place: Path, reference: Path, rng: random.Random, name: str, command: Command, picks: Sequence[Pick], *, ends: bool
) -> Outcome:
    """Kills one process of a command after another, at random moments; the same command then ends as if undisturbed.

    Args:
        place: folder to work in.
        reference: the runs that nothing disturbed; made if missing.
        rng: where the moments come from.
        name: what the table calls it.
        command: the command that trains in a folder, or goes on there.
        picks: which process is killed, for each kill.
        ends: the command ends with each kill and is given again; else it goes on by itself.
    """
    outcome, folder = Outcome(name), place / "runs"
    wrong = "" if reference.exists() else finished(command(reference), place)
    whole = EPOCHS * len(list(reference.glob("*-seed*")))
    kills, commands = 0, 0
    while kills < len(picks) and not wrong and commands <= len(picks):
        commands += 1
        with started(command(folder), place) as process:
            while kills < len(picks):
                share = (kills + rng.uniform(0.2, 1)) / (len(picks) + 1)
                trainers = at_work(folder, process, round(share * whole))
                if not trainers:
                    break
                with suppress(ProcessLookupError, IndexError):
                    os.kill(picks[kills](process, trainers), signal.SIGKILL)
                    kills += 1
                if ends:
                    break
                time.sleep(0.3)
            process.wait(PATIENCE)
            wrong = wrong or orphans(folder)
    wrong = wrong or finished(command(folder), place) or difference(folder, reference)
    for _ in range(kills or 1):
        outcome.add("not equal" if wrong else "ended, equal bit for bit")
    if wrong:
        outcome.add("not equal", wrong=f"{name}: {wrong}")
    return outcome


def all_kinds(place: Path, rng: random.Random) -> list[Outcome]:
    """Kills of every kind of process that a command may have."""
    kinds: list[tuple[str, str, Command, list[Pick], bool]] = [
        ("a worker of `compare --processes 2` killed", COMPARED, _processes, [_trainer] * 3, False),
        ("the runner of `compare --processes 2` killed", COMPARED, _processes, [_runner] * 2, True),
        ("a rank of torchrun killed", "ranks", train_on_two_ranks, [_trainer, _other_rank], True),
    ]
    if importlib.util.find_spec("submitit"):
        kinds.append(("a job of submitit killed", COMPARED, _jobs, [_trainer] * 2, False))
        kinds.append(("the runner of jobs of submitit killed", COMPARED, _jobs, [_runner], True))
    else:
        say("submitit is not installed: no job of it is killed")
    outcomes = []
    for number, (name, reference, command, picks, ends) in enumerate(kinds):
        own = place / str(number)
        own.mkdir()
        begun = time.monotonic()
        outcomes.append(killed(own, place / reference, rng, name, command, picks, ends=ends))
        say(f"  {name}: {time.monotonic() - begun:.0f} s")
    return outcomes


def _processes(out: Path) -> list[str]:
    return compare(out, "--processes", "2")


def _jobs(out: Path) -> list[str]:
    return compare(out, "--submitit", "{cluster: local}")
