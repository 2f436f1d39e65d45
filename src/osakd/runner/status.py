"""How far the runs in a folder are, seen from outside: from their records, and from what their runner tells."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from osakd import records
from osakd.errors import InputError, RunError
from osakd.runner.lock import holder

State = Literal["finished", "running", "waiting", "failed", "stopped", "damaged"]


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes:
        name: of its folder; an earlier stage has the run's name in front.
        state: ``stopped`` is one that nobody works at, and that the same command would go on with.
        epoch: how many are done.
        epochs: of the whole run; None for one that has not started.
        row: the last row of its learning curve.
        left: seconds until it ends, where its runner knows.
        error: why it failed, or what is damaged.
    """

    name: str
    state: State
    epoch: int = 0
    epochs: int | None = None
    row: dict[str, Any] | None = None
    left: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class FolderStatus:
    """A folder of runs.

    Attributes:
        folder: which.
        holder: who runs it: ``process``, ``host``, ``since``, and whether that is ``sure``; None where nobody does.
        runs: by name.
    """

    folder: Path
    holder: dict[str, Any] | None
    runs: list[RunStatus]


def status_of(folder: Path) -> list[FolderStatus]:
    """The state of every run under a folder: a comparison's, an experiment's, all records, or a single run's.

    Raises:
        InputError: there are no runs.
    """
    if folder.is_file():
        raise InputError(f"{str(folder)!r} is a file: name the folder of a comparison, of records, or of a run.")
    if not folder.is_dir():
        raise InputError(f"The folder {str(folder)!r} does not exist: check the path.")
    if (folder / records.CONFIG).exists():
        return [FolderStatus(folder, None, list(_chain(folder, folder.name, {})))]
    found = [_status(one) for one in [folder, *_folders(folder)]]
    found = [one for one in found if one.runs]
    if not found:
        raise InputError(f"{str(folder)!r} holds no runs: name the folder of a comparison or of records.")
    return found


def _folders(folder: Path) -> Iterator[Path]:
    """The folders below that may hold runs."""
    for one in sorted(folder.iterdir()):
        if one.is_dir() and not one.name.startswith(".") and not (one / records.CONFIG).exists():
            yield one
            yield from _folders(one)


def _status(folder: Path) -> FolderStatus:
    who = holder(folder)
    told: dict[str, Any] = who["runs"] if who else {}
    runs = []
    for one in sorted(folder.iterdir(), key=lambda path: (path.name.rpartition("-seed")[0], len(path.name), path.name)):
        if (one / records.CONFIG).exists() or (one / records.ERROR).exists():
            runs += _chain(one, one.name, told)
    known = {run.name for run in runs}
    runs += [RunStatus(name, "waiting") for name in told if name not in known]
    return FolderStatus(folder, who, runs)


def _chain(folder: Path, name: str, told: dict[str, Any]) -> Iterator[RunStatus]:
    """A run and the stages before it, the first one first."""
    if (folder / records.TEACHER / records.CONFIG).exists():
        yield from _chain(folder / records.TEACHER, f"{name}/{records.TEACHER}", told)
    said = told.get(name, {})
    try:
        config, rows, result = records.read_config(folder), records.read_metrics(folder), records.read_result(folder)
        error = records.read_error(folder)
    except (InputError, RunError) as damage:
        yield RunStatus(name, "damaged", error=str(damage))
        return
    state: State = "stopped"
    if result is not None:
        state = "finished"
    elif said.get("running"):
        state = "running"
    elif said.get("waiting"):
        state = "waiting"
    elif error is not None:
        state = "failed"
    epochs, row = (config.epochs if config else None), (rows[-1] if rows else None)
    yield RunStatus(name, state, len(rows), epochs, row, said.get("left"), error)
