"""Where the runs of a report are: from a folder of records, or of one experiment, column, comparison or run."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from osakd.errors import InputError, RunError
from osakd.methods.registry import METHODS
from osakd.records import (
    CONFIG,
    ERROR,
    SUMMARY,
    Result,
    RunConfig,
    default_folder,
    read_config,
    read_error,
    read_metrics,
    read_result,
)
from osakd.report.aggregate import BASELINE

DEPTH = 3
"""Folders from the records to a run: experiment, column, run."""


@dataclass(frozen=True)
class Entry:
    """A run as it is found.

    Attributes:
        label: what it is called in tables.
        seed: of its random streams; None where neither its folder nor its configuration says so.
        folder: where it is.
        config: None where it failed before it began.
        result: None where it has not finished.
        epoch: the last one in its learning curve.
        error: why it failed, or in what its records are damaged; None where nothing is wrong.
        damaged: its records cannot be read, so that it has no result.
    """

    label: str
    seed: int | None
    folder: Path
    config: RunConfig | None
    result: Result | None
    epoch: int
    error: str | None
    damaged: bool = False


@dataclass(frozen=True)
class Group:
    """The runs that are shown together: a column of an experiment, or a comparison.

    Attributes:
        experiment: name of the folder above, such as ``table1``; of a run alone, ``run``.
        name: of the group itself, such as ``cifar10``.
        depth: how far below the folder of the report it lies, 0 for that folder itself.
        entries: its runs.
    """

    experiment: str
    name: str
    depth: int
    entries: tuple[Entry, ...]


def find_groups(folder: Path) -> list[Group]:
    """The groups of runs in a folder, in the order of their paths.

    Raises:
        InputError: the folder is not there, cannot be read, or holds no runs.
    """
    if not folder.exists():
        raise InputError(f"The folder {str(folder)!r} does not exist: give the folder of a run or of records.")
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file: give the folder of a run or of records.")
    root = folder.resolve()
    if _is_run(root):
        return [Group("run", root.name, 0, (_entry(root),))]
    groups = [
        group
        for place, depth in _walk(root, 0)
        if (runs := [path for path in _folders(place) if _is_run(path)])
        for group in _split(place.parent.name, place.name, depth, runs)
    ]
    if not groups:
        raise InputError(
            f"{str(folder)!r} holds no runs: give the folder of a run, of a comparison (osakd compare) or of records "
            "(osakd reproduce)."
        )
    return groups


def in_order(entries: Sequence[Entry], first: Sequence[str]) -> tuple[Entry, ...]:
    """Runs sorted by method, then by seed: first the labels given, then plain training, then as osakd lists methods."""
    places = {label: number for number, label in enumerate(dict.fromkeys([*first, BASELINE]))}
    methods = list(METHODS)

    def key(entry: Entry) -> tuple[int, int, list[tuple[int, str]], int]:
        known = entry.config is not None and entry.config.method in METHODS
        method = methods.index(entry.config.method) if known and entry.config else len(methods)
        return places.get(entry.label, len(places)), method, _natural(entry.label), entry.seed or 0

    return tuple(sorted(entries, key=key))


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, int]]:
    yield folder, depth
    if depth < DEPTH - 1:
        for path in _folders(folder):
            if not _is_run(path):
                yield from _walk(path, depth + 1)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except PermissionError as error:
        raise InputError(
            f"No permission to read {str(folder)!r}: choose another folder or change this one's."
        ) from error


def _is_run(folder: Path) -> bool:
    return any(os.path.lexists(folder / name) for name in (CONFIG, ERROR))  # a damaged one too


def _split(experiment: str, name: str, depth: int, runs: list[Path]) -> list[Group]:
    """A group for each data set and network: only runs that share them are compared."""
    parts: dict[tuple[str, str], list[Entry]] = {}
    unknown = []
    for run in runs:
        entry = _entry(run)
        if entry.config is None:
            unknown.append(entry)
        else:
            parts.setdefault((entry.config.data["content"], entry.config.model), []).append(entry)
    if not parts:
        return [Group(experiment, name, depth, in_order(unknown, []))]
    order = _compared(runs[0].parent)
    groups = []
    for number, entries in enumerate(parts.values()):
        config = entries[0].config
        own = f"{name}: {config.data['name']}, {config.model}" if config and len(parts) > 1 else name
        found = entries + (unknown if number == 0 else [])
        groups.append(Group(experiment, own, depth, in_order(found, order)))
    return groups


def _entry(folder: Path) -> Entry:
    config = result = error = None
    epoch, damaged = 0, False
    try:
        config = read_config(folder)
        result, error = read_result(folder), read_error(folder)
        rows = read_metrics(folder)
        epoch = rows[-1]["epoch"] if rows else 0
    except (InputError, RunError) as sentence:  # of this run alone: the others are shown
        result, error, damaged = None, str(sentence), True
    label, _, number = folder.name.rpartition("-seed")
    if not label or not number.isdecimal():
        label, number = folder.name, ""
    if config is not None:
        # ``osakd train`` names a run after its data and its network too.
        label = label.removeprefix(default_folder(config.data["name"], config.model).name + "-")
    return Entry(
        label=label,
        seed=config.seed if config else int(number) if number else None,
        folder=folder,
        config=config,
        result=result,
        epoch=epoch,
        error=error,
        damaged=damaged,
    )


def _compared(folder: Path) -> list[str]:
    """The labels in the order in which they were given to ``osakd compare``."""
    try:
        methods = json.loads((folder / SUMMARY).read_bytes())["methods"]
        return [method["label"] for method in methods if method["predictor"] is None]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _natural(label: str) -> list[tuple[int, str]]:
    """A key that puts 8nn before 16nn."""
    parts: list[tuple[int, str]] = []
    for character in label:
        if character.isdecimal() and parts and not parts[-1][1]:
            parts[-1] = (10 * parts[-1][0] + int(character), "")
        else:
            parts.append((int(character), "") if character.isdecimal() else (10**9, character))
    return parts
