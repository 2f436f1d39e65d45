"""Disks that are full, folders that may not be written or vanish, clocks that jump, two processes on one folder."""

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from chaos.children import REFUSED, difference, ended, run, start, train
from chaos.kills import undisturbed
from chaos.outcome import Outcome
from osakd import records
from osakd.engine import folders, loop

_NOBODY = 65534


def full(place: Path) -> Outcome:
    """Files may not grow beyond a limit, as on a full disk; then there is space again, and the run is resumed."""
    outcome = Outcome("full disk, then space again")
    for limit in (0, 500, 2_000, 20_000, 100_000):

        def limited(limit: int = limit) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
            try:
                train(place / "full")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        _refused(outcome, place, "full", limited, "The disk is full")
    return outcome


def read_only(place: Path) -> Outcome:
    """The folder of the runs may not be written."""
    outcome = Outcome("read-only folder")
    (place / "read-only").mkdir()
    (place / "read-only").chmod(0o555)
    place.chmod(0o755)

    def work() -> None:
        train(place / "open" / "runs")  # what it imports can be read now
        if os.geteuid() == 0:
            os.seteuid(_NOBODY)
        train(place / "read-only")

    log = place / "open" / "log"
    log.parent.mkdir(exist_ok=True)
    log.parent.chmod(0o777)
    status, text = run(work, log)
    right = status == REFUSED and "ermission" in text
    outcome.add("refused by name" if right else "not refused", wrong="" if right else f"{status}: {text}")
    return outcome


def deleted(place: Path) -> Outcome:
    """The folder is deleted while the run trains; the same command then starts again."""
    outcome = Outcome("folder deleted while a run trains")

    def work() -> None:
        begin = loop.Loop._states

        def gone(self: loop.Loop, epoch: int) -> object:
            if epoch == 2:
                shutil.rmtree(self.runs[0].folder)
            return begin(self, epoch)

        loop.Loop._states = gone  # type: ignore[method-assign, assignment]
        train(place / "deleted")

    _refused(outcome, place, "deleted", work, "does not exist")
    return outcome


def clock(place: Path) -> Outcome:
    """The clock is set back by a day at every look at it."""
    outcome = Outcome("clock set back by a day, again and again")
    reference, _ = undisturbed(place, "serial")

    def work() -> None:
        days, now = 0, time.time

        def earlier() -> float:
            nonlocal days
            days += 1
            return now() - 86_400 * days

        time.time = earlier
        train(place / "clock")

    status, text = run(work, place / "log")
    found = difference(place / "clock", reference) if status == 0 else f"{status}: {text}"
    outcome.add("not equal" if found else "equal bit for bit", wrong=found)
    return outcome


def two(place: Path) -> Outcome:
    """A second process trains in the folder of a first one."""
    outcome = Outcome("two processes on one run folder")
    reference, _ = undisturbed(place, "serial")
    folder, go_on = place / "two", place / "go-on"

    def slowly() -> None:
        begin = loop.Loop._states

        def later(self: loop.Loop, epoch: int) -> object:
            while epoch == 2 and not go_on.exists():
                time.sleep(0.02)
            return begin(self, epoch)

        loop.Loop._states = later  # type: ignore[method-assign, assignment]
        train(folder)

    first = start(slowly, place / "first")
    while not list(folder.glob(f"*-seed0/{records.CHECKPOINT}")):
        time.sleep(0.02)

    def intrude() -> None:
        folders.SECONDS_TO_WAIT_FOR_A_LOCK = 0.0
        train(folder)

    status, text = run(intrude, place / "log")
    go_on.touch()
    right = status == REFUSED and "Another process is training" in text
    outcome.add("the second was refused" if right else "not refused", wrong="" if right else f"{status}: {text}")
    found = difference(folder, reference) if ended(first) == 0 else "the first one failed"
    outcome.add("not equal" if found else "the first ended equal bit for bit", wrong=found)
    return outcome


def _refused(outcome: Outcome, place: Path, name: str, work: Callable[[], object], words: str) -> None:
    """Work must fail with these words; the same command without the fault then gives what was to come out."""
    reference, _ = undisturbed(place, "serial")
    status, text = run(work, place / "log")
    right = status == REFUSED and words in text
    if right:
        status, text = run(lambda: train(place / name), place / "log")
        text = difference(place / name, reference) if status == 0 else text
    wrong = "" if right and not text else f"{status}: {text}"
    outcome.add("not answered" if wrong else "refused in a sentence; then equal bit for bit", wrong=wrong)
    shutil.rmtree(place / name, ignore_errors=True)
