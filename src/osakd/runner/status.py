"""How far the runs in a folder are, from their records and from the note of their runner."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from osakd import records
from osakd.errors import InputError
from osakd.read_json import Seen, is_first, subfolders
from osakd.runner.lock import RunnerNote, RunNote, current_runner
from osakd.runs import PACKED, packed_runs

State = Literal["finished", "running", "waiting", "failed", "stopped", "damaged"]


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes:
        state: its state; the same command continues a ``stopped`` run.
        epochs: number of epochs of the whole run; None for a run that has not started.
    """

    name: str
    state: State
    epoch: int = 0
    epochs: int | None = None
    row: dict[str, Any] | None = None
    seconds_left: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class FolderStatus:
    """A folder of runs, and who runs it, if anybody."""

    folder: Path
    runner: RunnerNote | None
    runs: list[RunStatus]


def status_of(folder: Path) -> list[FolderStatus]:
    """The state of every run in a folder: of a comparison, an experiment, all records, or a single run.

    Raises:
        InputError: there are no runs.
    """
    if folder.is_file():
        raise InputError(f"{str(folder)!r} is a file: name the folder of a comparison, of records, or of a run.")
    if not folder.is_dir() and not packed_runs(folder):
        raise InputError(f"The folder {str(folder)!r} does not exist: check the path.")
    if (folder / records.CONFIG).exists():
        return [FolderStatus(folder, None, list(_stages(folder, folder.name, {})))]
    seen: Seen = set()
    places = (path for path in [folder, *_folders(folder)] if is_first(path, seen))
    with_runs = [status for path in places if (status := _status(path)).runs]
    if not with_runs:
        raise InputError(f"{str(folder)!r} has no runs: name the folder of a comparison or of records.")
    return with_runs


def _folders(folder: Path) -> Iterator[Path]:
    """The subfolders that may contain runs, or whose runs are packed beside them."""
    inside = {path for path in subfolders(folder) if not (path / records.CONFIG).exists()}
    for path in sorted(inside | {file.with_suffix("") for file in folder.glob(f"[!.]*{PACKED}")}):
        yield path
        if not path.is_symlink():  # a link may lead to a folder above it
            yield from _folders(path)


def _status(folder: Path) -> FolderStatus:
    runner = current_runner(folder)
    notes = runner.runs if runner else {}
    runs = []
    inside = sorted(subfolders(folder), key=lambda path: (path.name.rpartition("-seed")[0], len(path.name), path.name))
    for path in inside:
        if (path / records.CONFIG).exists() or (path / records.ERROR).exists():
            runs += _stages(path, path.name, notes)
    known = {run.name for run in runs}
    for run in packed_runs(folder):
        if run.folder.name not in known and run.state != "unfinished":
            epochs = run.config.epochs if run.config else None
            runs.append(
                RunStatus(
                    run.folder.name, run.state, run.curve.epoch, epochs, run.result and run.result.last, error=run.error
                )
            )
    runs += [RunStatus(name, "waiting") for name in notes if name not in known]
    return FolderStatus(folder, runner, runs)


def _stages(folder: Path, name: str, notes: dict[str, RunNote]) -> Iterator[RunStatus]:
    """All stages of a run, the first stage first."""
    teacher = folder / records.TEACHER
    if (teacher / records.CONFIG).exists() and not teacher.is_symlink():
        yield from _stages(teacher, f"{name}/{records.TEACHER}", notes)
    note = notes.get(name)
    config, result, rows, error, damage = records.read_run(folder)
    state: State = "stopped"
    if damage is not None:
        state, config, error = "damaged", None, damage
    elif result is not None:
        state = "finished"
    elif note is not None and note.running:
        state = "running"
    elif note is not None and note.waiting:
        state = "waiting"
    elif error is not None:
        state = "failed"
    epochs, row = (config.epochs if config else None), (rows[-1] if rows else None)
    yield RunStatus(name, state, len(rows), epochs, row, note and note.seconds_left, error)
