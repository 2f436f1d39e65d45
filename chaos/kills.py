"""Processes that are killed, interrupted or cut off from power, and resumed until they are done."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.children import LOWERINGS, REFUSED, difference, ended, epoch_of, run, start, train
from chaos.outcome import Outcome


def undisturbed(place: Path, lowering: str) -> tuple[Path, float]:
    """A run that nothing disturbs, made once, and its seconds."""
    folder = place / f"undisturbed-{lowering.replace('/', '-').replace(' ', '-')}"
    begun = time.monotonic()
    if not folder.exists():
        status, text = run(lambda: train(folder, lowering), place / "log")
        if status:
            raise RuntimeError(f"the undisturbed run failed: {text}")
    return folder, time.monotonic() - begun


def at_random(place: Path, seconds: float, rng: random.Random, number: int, name: str, least: int) -> Outcome:
    """Stops training at random moments with a signal, each time resumed, on every lowering.

    Args:
        place: folder to work in.
        seconds: how long.
        rng: where the moments come from.
        number: the signal: SIGKILL or SIGINT.
        name: what the table calls it.
        least: how often at least, in all.
    """
    outcome, log = Outcome(name), place / "log"
    for lowering in LOWERINGS:
        reference, takes = undisturbed(place, lowering)
        until, tried, stopped = time.monotonic() + seconds / len(LOWERINGS), 0, 0
        while stopped < least / len(LOWERINGS) or time.monotonic() < until:
            tried += 1
            folder, kills = place / f"{number}-{tried}", 0
            while True:
                work = start(lambda folder=folder, lowering=lowering: train(folder, lowering), log)
                time.sleep(rng.uniform(0.02, 0.8) * takes)
                with suppress(ProcessLookupError):
                    os.kill(work, number if kills < 4 else 0)
                status = ended(work)
                if status in (0, REFUSED) or kills > 40:
                    break
                kills += 1
            stopped += kills
            found = difference(folder, reference) if status == 0 else f"exit {status}: {log.read_text()}"
            for _ in range(kills):
                outcome.add("not equal" if found else f"resumed, equal bit for bit: {lowering}")
            if found:
                outcome.add("not equal", wrong=f"{lowering}: {found}")
            shutil.rmtree(folder, ignore_errors=True)
    return outcome


def again(place: Path) -> Outcome:
    """Trains twice with the same seed, on every lowering."""
    outcome = Outcome("nothing: the same training again")
    for lowering in LOWERINGS:
        reference, _ = undisturbed(place, lowering)
        found = _continued(place / "again", reference, lowering, place / "log")
        outcome.add(
            "not equal" if found else f"equal bit for bit: {lowering}", wrong=f"{lowering}: {found}" * bool(found)
        )
        shutil.rmtree(place / "again", ignore_errors=True)
    return outcome


@contextmanager
def _before_write(act: Callable[[int], object]) -> Iterator[None]:
    """Calls ``act`` with the count of every fsync and rename, before it is done."""
    count, calls = 0, {"fsync": os.fsync, "replace": os.replace, "rename": os.rename}

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def called(*given: object, **more: object) -> object:
            nonlocal count
            count += 1
            act(count)
            return call(*given, **more)

        return called

    for name, call in calls.items():
        setattr(os, name, counted(call))
    try:
        yield
    finally:
        for name, call in calls.items():
            setattr(os, name, call)


def at_every_write(place: Path, seconds: float, rng: random.Random) -> Outcome:
    """Kills a run before each fsync and each rename that it makes, in turn or at random where time is short."""
    outcome = Outcome("SIGKILL before a file is synced or renamed")
    lowerings = ("serial", "fused/channels")
    for lowering in lowerings:
        reference, _ = undisturbed(place, lowering)
        last = _writes(place, lowering)
        until, moments = time.monotonic() + seconds / len(lowerings), list(range(1, last + 1))
        rng.shuffle(moments)
        for number, moment in enumerate(moments):
            if number and time.monotonic() > until:
                break
            folder = place / f"write-{moment}"

            def killed(folder: Path = folder, lowering: str = lowering, moment: int = moment) -> None:
                with _before_write(lambda count: os.kill(os.getpid(), signal.SIGKILL) if count == moment else None):
                    train(folder, lowering)

            run(killed, place / "log")
            found = _continued(folder, reference, lowering, place / "log")
            outcome.add("not equal" if found else f"resumed, equal bit for bit: {lowering}", wrong=found)
            shutil.rmtree(folder, ignore_errors=True)
    return outcome


def power(place: Path, seconds: float, rng: random.Random) -> Outcome:
    """Cuts the power at a sync: only what was synced is still there, of files and of folder entries.

    The worst that a file system may do: a file that was never synced is empty, a file in a folder that was not synced
    since is gone, a rename that was not synced is undone.
    """
    outcome, lowering = Outcome("power failure: all that was not synced is gone"), "serial"
    reference, _ = undisturbed(place, lowering)
    last, until = _writes(place, lowering), time.monotonic() + seconds
    while not outcome.times or time.monotonic() < until:
        folder, said = place / "power" / "runs", place / "said"
        moment = rng.randrange(1, last + 1)
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.parent.mkdir()
        said.write_text("")

        def cut(folder: Path = folder, moment: int = moment, said: Path = said) -> None:
            disk = _Disk(folder.parent)
            with disk.watched(moment, said):
                train(folder, lowering)

        run(cut, place / "log")
        promised = dict(line.split() for line in said.read_text().splitlines())
        gone = [run for run, epoch in promised.items() if epoch_of(folder / run) < int(epoch)]
        lost = f"{', '.join(gone)} had {promised}, then the power failed before write {moment}" if gone else ""
        found = _continued(folder, reference, lowering, place / "log")
        outcome.add("not equal" if found else "resumed, equal bit for bit", lost=lost, wrong=found)
    return outcome


class _Disk:
    """Remembers what is safe on a disk: the content of synced files, the entries of synced folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[int, bytes] = {}
        self.folders: dict[str, dict[str, int]] = {str(root): {}}

    @contextmanager
    def watched(self, moment: int, said: Path) -> Iterator[None]:
        """Cuts the power before the write of this number; ``said`` has the epochs that were saved before."""
        from osakd.engine import state

        fsync, save = os.fsync, state.save_checkpoint

        def synced(descriptor: int) -> None:
            fsync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_dir():
                self.folders[str(path)] = {one.name: one.stat().st_ino for one in path.iterdir()}
            else:
                self.files[path.stat().st_ino] = path.read_bytes()

        def saved(*given: object, **more: object) -> None:
            save(*given, **more)  # type: ignore[arg-type]
            with said.open("a") as stream:
                stream.write(f"{given[0].name} {given[1]['epoch']}\n")  # type: ignore[attr-defined, index]

        os.fsync, state.save_checkpoint = synced, saved  # type: ignore[assignment]
        with _before_write(lambda count: self._cut() if count == moment else None):
            yield

    def _cut(self) -> None:
        numbers = {one.stat().st_ino: one.is_dir() for one in self.root.rglob("*")}
        left = self._left(str(self.root), numbers)
        shutil.rmtree(self.root)
        for path, content in left.items():
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        os._exit(9)

    def _left(self, folder: str, folders: dict[int, bool]) -> dict[Path, bytes | None]:
        found: dict[Path, bytes | None] = {Path(folder): None}
        for name, number in self.folders.get(folder, {}).items():
            path = Path(folder) / name
            if folders.get(number):
                found |= self._left(str(path), folders)
            else:
                found[path] = self.files.get(number, b"")
        return found


def _writes(place: Path, lowering: str) -> int:
    """Number of syncs and renames of an undisturbed run."""
    counted = place / "writes.json"

    def count() -> None:
        with _before_write(lambda number: counted.write_text(json.dumps(number))):
            train(place / "counted", lowering)

    run(count, place / "log")
    shutil.rmtree(place / "counted")
    return int(json.loads(counted.read_text()))


def _continued(folder: Path, reference: Path, lowering: str, log: Path) -> str:
    """What differs from the undisturbed run once this one has been resumed."""
    status, text = run(lambda: train(folder, lowering), log)
    return difference(folder, reference) if status == 0 else f"exit {status}: {text}"
