"""Whole commands, whose processes are killed: a worker, and the runner itself."""

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

from chaos.children import EVERY_EPOCH, METHODS, difference
from chaos.outcome import Outcome
from osakd.errors import RunError
from osakd.records import LOCK, read_config, read_metrics, read_result

EPOCHS, SEEDS, PATIENCE = 16, 2, 240
COMPARED = "compared"
"""Name of the folder of the undisturbed comparison."""


def comparison(out: Path, processes: int) -> list[str]:
    """The command that compares two methods over two seeds: four runs."""
    words = ["compare", "--methods", *map(json.dumps, METHODS), "--seeds", str(SEEDS), "--epochs", str(EPOCHS)]
    words += ["--validation", "0.4", "--batch-size", "32", "--device", "cpu", "--executor", "serial"]
    words += ["--kernels", "torch", "--out", str(out), "--processes", str(processes)]
    return [sys.executable, "-m", "osakd", *words]


@contextmanager
def started(command: Sequence[str], place: Path) -> Iterator[subprocess.Popen[str]]:
    """A command in a session of its own, all of which is killed in the end; its processes save every epoch."""
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


def failure(command: Sequence[str], place: Path) -> str:
    """Runs a command to its end: its exit status and errors; empty where it ended well."""
    with started(command, place) as process:
        code = process.wait(PATIENCE)
    lines = [line for line in (place / "errors").read_text().splitlines() if "osakd:" in line]
    return f"exit {code}: {' '.join(lines)}" if code else ""


def trained_by(run: Path) -> int | None:
    """The process that holds the lock of a run."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if run / LOCK in [descriptor.readlink() for descriptor in (process / "fd").iterdir()]:
                return int(process.name)
    return None


def epochs_done(folder: Path) -> int:
    """Number of epochs in the curves of all runs in a folder."""
    done = 0
    for run in folder.glob("*-seed*"):
        with suppress(RunError):
            done += len(read_metrics(run))
    return done


def trainer(folder: Path, process: subprocess.Popen[str], epochs: int) -> int | None:
    """A process that trains in a folder, once so many epochs are done; None where the command ends first."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if epochs_done(folder) >= epochs:
            unfinished = [run for run in folder.glob("*-seed*") if read_config(run) and read_result(run) is None]
            for number in map(trained_by, unfinished):
                if number is not None:
                    return number
        time.sleep(0.02)
    return None


def orphans(folder: Path) -> str:
    """What still trains in a folder a while after its command has ended: nothing may."""
    until = time.monotonic() + PATIENCE
    while left := [number for run in folder.glob("*-seed*") if (number := trained_by(run)) is not None]:
        if time.monotonic() > until:
            return f"the processes {left} go on without their runner"
        time.sleep(0.05)
    return ""


Victim = Callable[[subprocess.Popen[str], int], int]


def killed(place: Path, reference: Path, rng: random.Random, name: str, victim: Victim, times: int) -> Outcome:
    """Kills one process of a comparison after another, at random moments; it then ends as if undisturbed.

    Args:
        place: folder to work in.
        reference: the runs that nothing disturbed; made if missing.
        rng: where the moments come from.
        name: what the table calls it.
        victim: which process is killed: of the command itself and one that trains. Where it is the command, the same
            command is started again, else it goes on by itself.
        times: number of kills.
    """
    outcome, folder, kills, starts = Outcome(name), place / "runs", 0, 0
    command = comparison(folder, 2)
    wrong = "" if reference.exists() else failure(comparison(reference, 2), place)
    while kills < times and not wrong and starts <= times:
        starts += 1
        with started(command, place) as process:
            while kills < times and not wrong:
                share = (kills + rng.uniform(0.2, 1)) / (times + 1)
                number = trainer(folder, process, round(share * EPOCHS * len(METHODS) * SEEDS))
                if number is None:
                    break
                with suppress(ProcessLookupError):
                    os.kill(victim(process, number), signal.SIGKILL)
                    kills += 1
                time.sleep(0.3)
            process.wait(PATIENCE)
            wrong = wrong or orphans(folder)
    wrong = wrong or failure(command, place) or difference(folder, reference)
    for kill in range(max(kills, 1)):
        outcome.add("ended, equal bit for bit", wrong=wrong if kill == 0 else "")
    return outcome


def all_kinds(place: Path, rng: random.Random, times: int) -> list[Outcome]:
    """Kills of every kind of process that a comparison has, each so many times."""
    victims: dict[str, Victim] = {
        "worker": lambda _, trainer: trainer,
        "runner": lambda process, _: process.pid,
    }
    outcomes = []
    for name, victim in victims.items():
        (place / name).mkdir()
        title = f"the {name} of `compare --processes 2` killed"
        outcomes.append(killed(place / name, place / COMPARED, rng, title, victim, times))
    return outcomes
