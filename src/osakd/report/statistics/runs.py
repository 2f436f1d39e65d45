"""A run as a report sees it: its configuration, its result, and its learning curve in compact arrays."""

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from osakd.read_json import damaged
from osakd.records import METRICS, Result, RunConfig, RunFiles, default_folder

State = Literal["finished", "unfinished", "failed", "damaged"]
_SCORES = ("accuracy", "nll", "ece")
_SOFT_LABELS = ("soft_label_mass", "soft_label_entropy", "soft_label_agreement")
_RELIABILITY = ("soft_label_reliability",)
"""Recorded later than the others: older runs do not have it."""


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
        series: what a report shows of its rows, by dotted name: ``test.accuracy``, ``others.branch2.test.nll``.
    """

    epoch: int = 0
    series: Mapping[str, Series] = field(default_factory=dict)

    def get(self, name: str) -> Series:
        """A quantity by its dotted name; empty where it was never recorded."""
        return self.series.get(name, _NEVER)


@dataclass(frozen=True)
class RunRecord:
    """A run.

    Attributes:
        label: its name in tables.
        seed: its seed; None where neither its folder nor its configuration says so.
        folder: where it is.
        config: its configuration; None where it failed before it began, or where that is damaged.
        result: its result; None where it has not finished.
        curve: its learning curve.
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


def run_record(folder: Path, files: RunFiles) -> RunRecord:
    """A run from its files.

    Args:
        folder: its folder, called ``<label>-seed<seed>`` or anything else.
        files: what was read there.
    """
    config, damage = files.config, files.damage
    label, _, number = folder.name.rpartition("-seed")
    if not label or not number.isdecimal():
        label, number = folder.name, ""
    if config is not None:
        label = label.removeprefix(_prefix(config.data["name"], config.model))
    seed = config.seed if config else int(number) if number else None
    try:
        curve = compact(files.rows)
    except (KeyError, TypeError, AttributeError) as error:
        damage, curve = str(damaged(folder / METRICS, error)), Curve()
    if damage is not None:
        return RunRecord(label, seed, folder, config, None, Curve(), damage, damaged=True)
    if config is not None and files.result is not None:
        return FinishedRun(label, config.seed, folder, config, files.result, curve)
    return RunRecord(label, seed, folder, config, None, curve, files.error)


def finished(runs: Iterable[RunRecord]) -> list[FinishedRun]:
    """The runs that have a result."""
    return [run for run in runs if isinstance(run, FinishedRun)]


def by_label(runs: Iterable[FinishedRun]) -> dict[str, dict[int, FinishedRun]]:
    """Runs by label and seed."""
    labels: dict[str, dict[int, FinishedRun]] = {}
    for run in runs:
        labels.setdefault(run.label, {})[run.seed] = run
    return labels


def compact(rows: Sequence[Mapping[str, Any]]) -> Curve:
    """The rows of a learning curve as arrays of what a report shows.

    Raises:
        KeyError, TypeError, AttributeError: the rows are not those of a learning curve.

    Example:
        >>> curve = compact([{"epoch": 1, "train": {}}, {"epoch": 2, "test": {"accuracy": 0.5, "nll": 1, "ece": 0}}])
        >>> curve.epoch, curve.get("test.accuracy").epochs, list(curve.get("test.accuracy").values)
        (2, range(2, 3), [0.5])
    """
    if not rows:
        return Curve()
    series: dict[str, Series] = {}
    for part in ("test", "validation"):
        scored = [row for row in rows if part in row]
        _add(series, part, [row["epoch"] for row in scored], [row[part] for row in scored], _SCORES)
    for keys in (_SOFT_LABELS, _RELIABILITY):
        taught = [row for row in rows if keys[0] in row.get("train", ())]
        _add(series, "train", [row["epoch"] for row in taught], [row["train"] for row in taught], keys)
    for name, parts in rows[-1].get("others", {}).items():
        scored = [row for row in rows if "others" in row]
        for part in parts:
            values = [row["others"][name][part] for row in scored]
            _add(series, f"others.{name}.{part}", [row["epoch"] for row in scored], values, _SCORES)
    return Curve(rows[-1]["epoch"], series)


@cache
def _prefix(data: str, model: str) -> str:
    """How ``osakd train`` begins the name of a run: with its data and its network."""
    return f"{default_folder(data, model).name}-"


def _add(
    series: dict[str, Series], part: str, epochs: list[int], values: list[Mapping[str, float]], keys: Sequence[str]
) -> None:
    """Adds the series of a part of the rows; epochs at equal distances take no memory."""
    if not epochs:
        return
    even = range(epochs[0], epochs[-1] + 1, max(1, epochs[1] - epochs[0]) if len(epochs) > 1 else 1)
    shared: Sequence[int] = even if list(even) == epochs else tuple(epochs)
    for key in keys:
        series[f"{part}.{key}"] = Series(shared, array("d", [one[key] for one in values]))
