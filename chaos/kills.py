"""Processes that are killed, interrupted or cut off from power, and resumed until they are done."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.children import (
    EXECUTORS,
    REFUSED,
    At,
    continued,
    difference,
    ended,
    epoch_of,
    run,
    start,
    train,
    train_one,
    undisturbed,
    undisturbed_one,
)
from chaos.outcome import Outcome


def at_random(place: Path, seconds: float, rng: random.Random, number: int, name: str, least: int) -> Outcome:
    """Stops training at random moments with a signal, each time resumed, with every executor.

    Args:
        place: folder to work in.
        seconds: how long.
        rng: where the moments come from.
        number: the signal: SIGKILL or SIGINT.
        name: what the table calls it.
        least: how often at least with each executor.
    """
    outcome, log = Outcome(name), place / "log"
    for executor in EXECUTORS:
        begun = time.monotonic()
        reference = undisturbed(place, executor)
        takes = max(1.0, time.monotonic() - begun)
        until, tried, stopped = time.monotonic() + seconds / len(EXECUTORS), 0, 0
        while stopped < least or time.monotonic() < until:
            tried += 1
            folder, kills = place / f"{number}-{tried}", 0
            while True:
                work = start(lambda folder=folder, executor=executor: train(folder, executor), log)
                time.sleep(rng.uniform(0.02, 0.8) * takes)
                with suppress(ProcessLookupError):
                    os.kill(work, number if kills < 4 else 0)
                status = ended(work)
                if status in (0, REFUSED) or kills > 40:
                    break
                kills += 1
            stopped += kills
            wrong = difference(folder, reference) if status == 0 else f"exit {status}: {log.read_text()}"
            for kill in range(kills):
                last = kill == kills - 1
                outcome.add(
                    f"resumed, equal bit for bit: {executor}", wrong=f"{executor}: {wrong}" * bool(wrong and last)
                )
            shutil.rmtree(folder, ignore_errors=True)
    return outcome


def again(place: Path) -> Outcome:
    """Trains twice with the same seed, with every executor."""
    outcome, folder = Outcome("nothing: the same training again"), place / "again"
    for executor in EXECUTORS:
        reference = undisturbed(place, executor)
        wrong = continued(lambda executor=executor: train(folder, executor), folder, reference, place / "log")
        outcome.add(f"equal bit for bit: {executor}", wrong=f"{executor}: {wrong}" * bool(wrong))
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def before_writes(place: Path, seconds: float, rng: random.Random, *, power: bool) -> Outcome:
    """Ends training before one of the fsyncs and renames that it makes, in random order, and resumes it.

    Args:
        place: folder to work in.
        seconds: how long.
        rng: where the moments come from.
        power: one run is cut off from power: only what was synced is still there, of files and of folder entries. The
            worst that a file system may do: a file that was never synced is empty, a file in a folder that was not
            synced since is gone, a rename that was not synced is undone. Without it, runs that are trained together are
            killed.
    """

    def work(folder: Path, *callbacks: At) -> None:
        train_one(folder, *callbacks) if power else train(folder, "fused/channels")

    names = {
        True: "power failure: all that was not synced is gone",
        False: "SIGKILL before a file is synced or renamed",
    }
    outcome, folder, saved = Outcome(names[power]), place / "disk" / "runs", place / "saved"
    reference = undisturbed_one(place) if power else undisturbed(place, "fused/channels")
    moments = list(range(1, 1 + _writes(place, work)))
    rng.shuffle(moments)
    until = time.monotonic() + seconds
    for moment in moments:
        if outcome.times and time.monotonic() > until:
            break
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.parent.mkdir()
        saved.write_text("0")

        def stopped(moment: int = moment) -> None:
            disk = _Disk(folder.parent)
            end = disk.cut if power else lambda: os.kill(os.getpid(), signal.SIGKILL)
            epochs = [At(epoch, lambda epoch=epoch: saved.write_text(str(epoch - 1))) for epoch in range(2, 5)]
            with disk.watched(), _before_write(lambda count: end() if count == moment else None):
                work(folder, *epochs)

        run(stopped, place / "log")
        epoch = int(saved.read_text())
        lost = epoch > 0 and epoch_of(folder) < epoch
        outcome.add(
            "resumed, equal bit for bit",
            lost=f"epoch {epoch} had been saved, then it ended before write {moment}" if lost else "",
            wrong=continued(lambda: work(folder), folder, reference, place / "log"),
        )
    return outcome


@contextmanager
def _before_write(act: Callable[[int], object]) -> Iterator[None]:
    """Calls ``act`` with the count of every fsync and rename, before it is done."""
    count, calls = 0, {"fsync": os.fsync, "replace": os.replace, "rename": os.rename}

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            act(count)
            return call(*arguments, **options)

        return called

    for name, call in calls.items():
        setattr(os, name, counted(call))
    try:
        yield
    finally:
        for name, call in calls.items():
            setattr(os, name, call)


def _writes(place: Path, work: Callable[[Path], object]) -> int:
    """Number of syncs and renames of undisturbed work."""
    counted = place / "writes"

    def count() -> None:
        with _before_write(lambda number: counted.write_text(str(number))):
            work(place / "counted")

    run(count, place / "log")
    shutil.rmtree(place / "counted")
    return int(counted.read_text())


class _Disk:
    """Remembers what is safe on a disk: the content of synced files, the entries of synced folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[int, bytes] = {}
        self.folders: dict[str, dict[str, int]] = {str(root): {}}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notes what is synced."""
        fsync = os.fsync

        def synced(descriptor: int) -> None:
            fsync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_dir():
                self.folders[str(path)] = {entry.name: entry.stat().st_ino for entry in path.iterdir()}
            else:
                self.files[path.stat().st_ino] = path.read_bytes()

        os.fsync = synced  # type: ignore[assignment]
        yield

    def cut(self) -> None:
        """Leaves what is safe, and ends the process."""
        is_folder = {path.stat().st_ino: path.is_dir() for path in self.root.rglob("*")}
        left = self._left(str(self.root), is_folder)
        shutil.rmtree(self.root)
        for path, content in left.items():
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        os._exit(9)

    def _left(self, folder: str, is_folder: dict[int, bool]) -> dict[Path, bytes | None]:
        """What is left in a folder: contents of files, None for folders."""
        left: dict[Path, bytes | None] = {Path(folder): None}
        for name, number in self.folders.get(folder, {}).items():
            path = Path(folder) / name
            if is_folder.get(number):
                left |= self._left(str(path), is_folder)
            else:
                left[path] = self.files.get(number, b"")
        return left
