"""Runs as they are recorded, in folders or packed in one file, and how they are packed. Standard library only.

Runs without their networks are kept packed: all of a folder ``<name>`` in a file ``<name>.jsonl`` beside it. Its first
line says what it is and holds the environments of the runs. Then comes a line for each run, sorted by label and seed,
with its configuration, its result and its curve as columns. Each line has a checksum.
"""

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from itertools import pairwise
from math import isinf, isnan, nan
from pathlib import Path
from typing import Any, Literal, NamedTuple

from osakd.durable import line, write_atomic
from osakd.errors import InputError, RunError
from osakd.read_json import MOST_EPOCHS, build, damaged, flattened, parse, read_lines, subfolders
from osakd.records import (
    CONFIG,
    ERROR,
    METRICS,
    RESULT,
    Result,
    RunConfig,
    default_folder,
    read_run,
    renewed,
)

PACKED = ".jsonl"
State = Literal["finished", "unfinished", "failed", "damaged"]
_HEADER: dict[str, Any] = {"osakd": "packed runs", "format": 1}
_DIGITS = 7
"""Significant digits of what a packed curve has beside accuracies, which are whole: no printed table changes by it."""
_NOT_IN_CURVES = ("epoch", "images_per_second")
"""The second follows from the seconds."""
_WRONG = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What values of another kind than a record's raise."""


class Series(NamedTuple):
    """A quantity over the epochs in which it was recorded."""

    epochs: Sequence[int]
    values: Sequence[float]


_NEVER = Series((), ())


@dataclass(frozen=True)
class Curve:
    """A learning curve.

    Attributes:
        epoch: its last epoch; 0 before the first one.
        series: the values of its rows, by dotted name: ``test.accuracy``, ``others.branch2.test.nll``.
    """

    epoch: int = 0
    series: Mapping[str, Series] = field(default_factory=dict)

    def get(self, name: str) -> Series:
        """A quantity by its dotted name; empty where it was never recorded."""
        return self.series.get(name, _NEVER)


@dataclass(frozen=True)
class RunRecord:
    """A run as it is recorded.

    Attributes:
        seed: its seed; None where neither its folder nor its configuration says so.
        folder: where it is; of a packed run, where its folder would be.
        config: its configuration; None where it failed before it began, or where that is damaged.
        result: its result; None while it has not finished all epochs of its configuration.
        error: why it failed, or what is damaged; None where nothing is wrong.
        damaged: whether its files cannot be used, so that it has no result.
    """

    label: str
    seed: int | None
    folder: Path
    config: RunConfig | None
    result: Result | None
    curve: Curve
    error: str | None = None
    damaged: bool = False

    @property
    def state(self) -> State:
        """What became of it."""
        if self.result is not None:
            return "finished"
        return "unfinished" if self.error is None else "damaged" if self.damaged else "failed"

    @property
    def state_in_words(self) -> str:
        """What became of it, and why, or how far it has come."""
        if self.error is not None:
            return f"{self.state}: {self.error}"
        of_all = f" of {self.config.epochs}" if self.config else ""
        return self.state if self.result else f"{self.state}: epoch {self.curve.epoch}{of_all}"


@dataclass(frozen=True)
class FinishedRun(RunRecord):
    """A run with a result."""

    seed: int
    config: RunConfig
    result: Result

    @cached_property
    def environment_key(self) -> str:
        """Its environment as a text that is equal for equal environments."""
        return json.dumps(self.result.environment, sort_keys=True)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, if a damaged one."""
    return any((folder / name).exists() for name in (CONFIG, ERROR, RESULT))


def packed_file(folder: Path) -> Path:
    """The file in which the runs of a folder are packed."""
    return folder.with_name(f"{folder.name}{PACKED}")


def read_runs(path: Path) -> list[RunRecord]:
    """Reads the runs of a folder, and those that are packed beside it; or those of a packed file; or one run.

    A run that is in both counts once: the one that has finished, with the most epochs. Damage is part of what is read.

    Args:
        path: folder of run folders, run folder, or packed file. A folder ``<path>`` may be missing where there is a
            file ``<path>.jsonl``.

    Raises:
        InputError: a folder may not be read, or a file does not hold packed runs.
        RunError: the first line of a packed file is damaged, or it cannot be read.
    """
    if path.is_file():
        return _read_packed(path)[1]
    if is_run(path):
        return [_read_folder(path)]
    folders = [folder for folder in subfolders(path) if is_run(folder)]
    return _once([*packed_runs(path), *map(_read_folder, folders)])


def packed_runs(folder: Path) -> list[RunRecord]:
    """The runs that are packed beside a folder; a file that is damaged or cannot be read is a damaged run."""
    path = packed_file(folder)
    try:
        return _read_packed(path)[1] if path.is_file() else []
    except InputError:
        return []  # it holds something else
    except RunError as damage:
        return [RunRecord(path.name, None, path, None, None, Curve(), str(damage), damaged=True)]


def pack_runs(path: Path, runs: Iterable[RunRecord]) -> int:
    """Adds runs that have finished or failed to a packed file, which is made if missing, and counts the runs in it.

    Equal runs make equal bytes.

    Raises:
        InputError: there is a file of something else.
        RunError: a line of the file is damaged, or it cannot be written.
    """
    environments, packed = _read_packed(path) if path.exists() else ([], [])
    for run in packed:
        if run.damaged:
            raise RunError(str(run.error))
    numbers = {json.dumps(environment, sort_keys=True): number for number, environment in enumerate(environments)}
    lines = []
    for run in sorted(_once([*packed, *runs]), key=lambda run: (run.label, run.seed or 0, run.folder.name)):
        values: dict[str, Any] = {"label": run.label, "seed": run.seed}
        if run.folder.name != f"{run.label}-seed{run.seed}":
            values["folder"] = run.folder.name
        if run.config is not None:
            values["config"] = asdict(run.config)
        if isinstance(run, FinishedRun):
            values["result"] = {k: v for k, v in asdict(run.result).items() if k not in ("last", "environment")}
            values["environment"] = numbers.setdefault(run.environment_key, len(numbers))
            values["curve"] = _packed_curve(run.curve)
        else:
            values["error"] = run.error
        lines.append(line(values, compact=True))
    header = _HEADER | {"environments": [json.loads(key) for key in numbers]}
    if lines:
        write_atomic(path, b"".join([line(header, compact=True), *lines]))
    return len(lines)


def finished(runs: Iterable[RunRecord]) -> list[FinishedRun]:
    """The runs that have a result."""
    return [run for run in runs if isinstance(run, FinishedRun)]


def curve_of(rows: Iterable[Mapping[str, Any]]) -> Curve:
    """The rows of a learning curve as columns.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: the rows are not those of a learning curve.

    Example:
        >>> scores = {"accuracy": 0.5, "nll": 1, "ece": 0}
        >>> curve = curve_of([{"epoch": 1, "train": {"total": 2}}, {"epoch": 2, "test": scores}])
        >>> curve.epoch, curve.get("test.accuracy").epochs, list(curve.get("test.accuracy").values)
        (2, range(2, 3), [0.5])
    """
    columns: dict[str, tuple[list[int], array[float]]] = {}
    for row in rows:
        for name, value in flattened(row).items():
            if name not in _NOT_IN_CURVES:
                epochs, values = columns.setdefault(name, ([], array("d")))
                epochs.append(row["epoch"])
                values.append(nan if value is None else value)
    return _curve(columns)


def _read_folder(folder: Path) -> RunRecord:
    """The run of a folder, called ``<label>-seed<seed>`` or anything else; ``osakd train`` adds data and network."""
    config, result, rows, error, damage = read_run(folder)
    label, _, number = folder.name.rpartition("-seed")
    if not label or not number.isdecimal():
        label, number = folder.name, ""
    if config is not None:
        label = label.removeprefix(_prefix(config.data["name"], config.model))
    seed = config.seed if config else int(number) if number else None
    try:
        curve = curve_of(rows)
    except _WRONG as wrong:
        damage, curve = str(damaged(folder / METRICS, wrong)), Curve()
    if damage is not None:
        return RunRecord(label, seed, folder, config, None, Curve(), damage, damaged=True)
    if config is not None and result is not None:
        return FinishedRun(label, config.seed, folder, config, result, curve)
    return RunRecord(label, seed, folder, config, None, curve, error)


@cache
def _prefix(data: str, model: str) -> str:
    return f"{default_folder(data, model).name}-"


def _once(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Of the runs of a name the one that has finished, with the most epochs; the first of equals."""
    best: dict[str, RunRecord] = {}
    for run in runs:
        other = best.setdefault(run.folder.name, run)
        if _epochs(run) > _epochs(other):
            best[run.folder.name] = run
    return list(best.values())


def _epochs(run: RunRecord) -> tuple[bool, int]:
    return run.result is not None, run.curve.epoch


def _curve(columns: "Mapping[str, tuple[Sequence[int], array[float]]]") -> Curve:
    """A curve of these columns; epochs at equal distances take no memory. What was no number is NaN.

    Raises:
        ValueError: a value is infinite, or an output has an accuracy without the other scores.
    """
    shared: dict[tuple[int, ...], Sequence[int]] = {}
    series = {}
    for name, (epochs, values) in columns.items():
        key = tuple(epochs)
        if key not in shared:
            even = range(key[0], key[-1] + 1, max(1, key[1] - key[0]) if len(key) > 1 else 1)
            shared[key] = even if len(even) == len(key) and tuple(even) == key else key
        series[name] = Series(shared[key], values)
    for name, accuracies in series.items():
        place, _, score = name.rpartition(".")
        if any(map(isinf, accuracies.values)) or (
            score == "accuracy" and not all(0 <= value <= 1 for value in accuracies.values)
        ):
            raise ValueError(f"a value of {name} is none")
        for other in ("nll", "ece") if score == "accuracy" else ():
            if series.get(f"{place}.{other}", _NEVER).epochs != accuracies.epochs:
                raise ValueError(f"{place} has no {other}")
    return Curve(max((epochs[-1] for epochs in shared), default=0), series)


def _packed_curve(curve: Curve) -> list[dict[str, list[float]]]:
    """The columns of a curve by name, those of the same epochs together, with these."""
    groups: dict[tuple[int, ...], dict[str, list[float]]] = {}
    for name, (epochs, values) in curve.series.items():
        columns = groups.setdefault(tuple(epochs), {"epoch": list(epochs)})
        is_accuracy = name.endswith(".accuracy")
        columns[name] = list(values) if is_accuracy else [float(f"{value:.{_DIGITS}g}") for value in values]
    return list(groups.values())


def _unpacked_curve(groups: Iterable[dict[str, Any]]) -> Curve:
    columns: dict[str, tuple[Sequence[int], array[float]]] = {}
    for group in groups:
        epochs = group.pop("epoch")
        if not epochs or any(type(epoch) is not int for epoch in epochs):
            raise ValueError("an epoch is not a number")
        if any(before >= after for before, after in pairwise([0, *epochs, MOST_EPOCHS])):
            raise ValueError("its epochs do not rise")
        for name, values in group.items():
            if len(values) != len(epochs):
                raise ValueError(f"{name} does not have a value for each epoch")
            columns[name] = epochs, array("d", (nan if value is None else value for value in values))
    return _curve(columns)


def _last_row(curve: Curve) -> dict[str, Any]:
    """The last row of a curve, as its run recorded it."""
    row: dict[str, Any] = {"epoch": curve.epoch}
    for name, (epochs, values) in curve.series.items():
        if epochs[-1] == curve.epoch:
            *parts, key = name.split(".")
            if parts[:1] == ["others"]:  # the name of an output may have a dot
                parts = ["others", ".".join(parts[1:-1]), parts[-1]]
            inner = row
            for part in parts:
                inner = inner.setdefault(part, {})
            inner[key] = None if isnan(values[-1]) else values[-1]
    return row


def _read_packed(path: Path) -> tuple[list[dict[str, Any]], list[RunRecord]]:
    """The environments and the runs of a packed file. A line that is damaged is a damaged run.

    Raises:
        InputError: the file holds something else.
        RunError: it cannot be read, or its first line is damaged.
    """
    lines, folder = read_lines(path), path.with_suffix("")
    try:
        first = next(lines, b"{}") if path.suffix == PACKED else b"{}"
        is_packed = parse(first).get("osakd") == _HEADER["osakd"]
        header = parse(first, has_checksum=is_packed)
        environments = dict(enumerate(header["environments"])) if is_packed else {}
    except _WRONG as error:
        raise RunError(_damaged_line(1, path, error)) from error
    if not is_packed:
        raise InputError(f"{str(path)!r} does not hold packed runs: name a file of osakd pack, or a folder of runs.")
    if header.get("format") != _HEADER["format"]:
        raise InputError(f"{str(path)!r} was packed by another version of osakd: read it with that one.")
    runs = []
    for number, text in enumerate(lines, start=2):
        try:
            runs.append(_unpacked(parse(text, has_checksum=True), environments, folder))
        except _WRONG as error:
            name, damage = f"line {number}", _damaged_line(number, path, error)
            runs.append(RunRecord(name, None, folder / name, None, None, Curve(), damage, damaged=True))
    return list(environments.values()), runs


def _damaged_line(number: int, path: Path, error: Exception) -> str:
    why = f"it has no {error}" if isinstance(error, KeyError) else error
    return f"Line {number} of {str(path)!r} is damaged ({why}): bring the file back, or delete the line."


def _unpacked(values: dict[str, Any], environments: Mapping[int, dict[str, Any]], folder: Path) -> RunRecord:
    """The run of a line, its values checked.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, OverflowError: the values are not those of a run.
    """
    label, seed = values["label"], values["seed"]
    name = values.get("folder", f"{label}-seed{seed}")
    if not isinstance(label, str) or name != Path(name).name or name.startswith(".") or "\0" in name:
        raise ValueError("its label is not a name")
    config = build(RunConfig, renewed(values["config"])) if "config" in values else None
    if "error" in values:
        return RunRecord(label, seed, folder / name, config, None, Curve(), str(values["error"]))
    curve = _unpacked_curve(values["curve"])
    more = {"last": _last_row(curve), "environment": environments[values["environment"]]}
    result = build(Result, values["result"] | more)
    if config is None or config.seed != seed or not result.is_of(config) or result.epochs != curve.epoch:
        raise ValueError("its seed or its epochs are not those of its configuration")
    return FinishedRun(label, seed, folder / name, config, result, curve)
