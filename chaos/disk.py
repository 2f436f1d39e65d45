"""Disks that are full, folders that may not be written or vanish, two processes on one folder."""

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from chaos.children import REFUSED, At, continued, difference, ended, run, start, train_one, undisturbed_one
from chaos.outcome import Outcome
from osakd import records

_NOBODY = 65534


def all_kinds(place: Path) -> list[Outcome]:
    """Every fault of this file."""
    return [full(place), read_only(place), deleted(place), two(place)]


def full(place: Path) -> Outcome:
    """Files may not grow beyond a limit, as on a full disk; then there is space again, and the run is resumed."""
    outcome = Outcome("full disk, then space again")
    for limit in (0, 500, 2_000, 20_000, 100_000):

        def limited(folder: Path, limit: int = limit) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
            try:
                train_one(folder)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        _refused(outcome, place, limited, "The disk is full")
    return outcome


def read_only(place: Path) -> Outcome:
    """The folder of the run may not be written."""
    outcome, folder, log = Outcome("read-only folder"), place / "read-only", place / "open" / "log"
    folder.mkdir()
    folder.chmod(0o555)
    place.chmod(0o755)
    log.parent.mkdir()
    log.parent.chmod(0o777)

    def work() -> None:
        train_one(log.parent / "run")  # what it imports can be read now
        if os.geteuid() == 0:
            os.seteuid(_NOBODY)
        train_one(folder)

    _answered(outcome, run(work, log), "No permission", "refused by name")
    return outcome


def deleted(place: Path) -> Outcome:
    """The folder is deleted while the run trains; the same command then starts again."""
    outcome = Outcome("folder deleted while a run trains")

    def work(folder: Path) -> None:
        train_one(folder, At(2, lambda: shutil.rmtree(folder)))

    _refused(outcome, place, work, "does not exist")
    return outcome


def two(place: Path) -> Outcome:
    """A second process trains in the folder of a first one, which waits for it."""
    outcome, reference = Outcome("two processes on one run folder"), undisturbed_one(place)
    folder, go_on = place / "two", place / "go-on"

    def wait() -> None:
        while not go_on.exists():
            time.sleep(0.02)

    first = start(lambda: train_one(folder, At(3, wait)), place / "first")
    while not (folder / records.CHECKPOINT).exists():
        time.sleep(0.02)
    second = run(lambda: train_one(folder), place / "log")
    go_on.touch()
    _answered(outcome, second, "Another process is training", "the second was refused")
    wrong = difference(folder, reference) if ended(first) == 0 else "the first process failed"
    outcome.add("the first ended, equal bit for bit", wrong=wrong)
    return outcome


def _answered(outcome: Outcome, status_and_text: tuple[int, str], words: str, answer: str) -> None:
    status, text = status_and_text
    right = status == REFUSED and words in text
    outcome.add(answer, wrong="" if right else f"exit {status}: {text}")


def _refused(outcome: Outcome, place: Path, work: Callable[[Path], object], words: str) -> None:
    """Work must fail with these words; the same command without the fault then ends as if undisturbed."""
    reference, folder = undisturbed_one(place), place / "refused"
    status, text = run(lambda: work(folder), place / "log")
    wrong = "" if status == REFUSED and words in text else f"exit {status}: {text}"
    wrong = wrong or continued(lambda: train_one(folder), folder, reference, place / "log")
    outcome.add("refused in a sentence; then equal bit for bit", wrong=wrong)
    shutil.rmtree(folder, ignore_errors=True)
