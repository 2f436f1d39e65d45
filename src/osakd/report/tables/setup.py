"""Every run of a column: what became of it, its whole configuration, and where it was made."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.runs import FinishedRun, RunRecord, finished
from osakd.report.statistics.summary import environments_of
from osakd.report.tables.table import Column, Table


class _SameSettings(NamedTuple):
    """Runs that differ by their seeds alone: their label, their seeds, and the settings that others do not share."""

    label: str
    settings: str
    seeds: list[str]


_SETTINGS = (
    Column[_SameSettings]("method", lambda row: row.label, is_text=True),
    Column[_SameSettings]("seeds", lambda row: ", ".join(row.seeds), is_text=True),
    Column[_SameSettings]("settings", lambda row: row.settings or "-", is_text=True),
)


def run_table(column: RecordedColumn) -> Table[RunRecord]:
    """A row for each run: finished, failed with its error, or how far it has come."""
    done = finished(column.runs)
    places = {
        key: f"E{number}" for number, key in enumerate(dict.fromkeys(run.environment_key for run in done), start=1)
    }

    def cell(text: Callable[[FinishedRun], str]) -> Callable[[RunRecord], str]:
        return lambda run: text(run) if isinstance(run, FinishedRun) else "-"

    columns = (
        Column[RunRecord]("method", lambda run: run.label, is_text=True),
        Column[RunRecord]("seed", lambda run: "-" if run.seed is None else str(run.seed)),
        Column[RunRecord]("best on test %", cell(lambda run: f"{100 * run.result.best_on_test['accuracy']:.2f}")),
        Column[RunRecord]("at epoch", cell(lambda run: str(run.result.best_on_test["epoch"]))),
        Column[RunRecord]("last epoch %", cell(lambda run: f"{100 * run.result.last['test']['accuracy']:.2f}")),
        Column[RunRecord]("NLL", cell(lambda run: f"{run.result.last['test']['nll']:.3f}")),
        Column[RunRecord]("seconds", cell(lambda run: f"{run.result.seconds:,.0f}")),
        Column[RunRecord]("made in", cell(lambda run: places[run.environment_key]), is_text=True),
        Column[RunRecord]("state", lambda run: run.state_in_words, is_text=True),
    )
    note = "Seconds of training and evaluation, a run's share where several runs share a program."
    return Table("Every run", columns, column.runs, note, lambda run: run.label)


def environments(column: RecordedColumn) -> list[tuple[str, str]]:
    """Where the finished runs were made: the number of each environment, and all that is recorded of it."""
    places = environments_of(finished(column.runs))
    return [(f"E{number}", _named(place)) for number, place in enumerate(places, start=1)]


def settings_of(column: RecordedColumn) -> tuple[list[tuple[str, str]], Table[_SameSettings] | None]:
    """The settings that all runs of a column have in common, and a table of those that differ.

    Runs that differ by their seeds alone share a row; there is no table where no run has a configuration.
    """
    configurations = _configurations(column)
    varying = _varying(configurations)
    rows: dict[tuple[str, str], _SameSettings] = {}
    runs = [run for run in column.runs if run.config is not None]
    for run, values in zip(runs, configurations, strict=True):
        words = _named({key: values[key] for key in varying if key in values})
        rows.setdefault((run.label, words), _SameSettings(run.label, words, [])).seeds.append(str(run.seed))
    if not rows:
        return [], None
    shared = [(key, _text(value)) for key, value in configurations[0].items() if key not in varying]
    note = "With the settings of all runs, this is each run's whole configuration."
    return shared, Table("What differs between runs", _SETTINGS, list(rows.values()), note, lambda row: row.label)


def _configurations(column: RecordedColumn) -> list[dict[str, Any]]:
    """The settings of each run but its seed; those of its data and of its method by dotted name."""
    configurations = []
    for run in column.runs:
        if run.config is None:
            continue
        values = dict(vars(run.config))
        data, settings = values.pop("data"), values.pop("settings")
        del values["seed"]
        flat = {f"data.{key}": value for key, value in data.items()} | values
        configurations.append(flat | {f"method.{key}": value for key, value in settings.items()})
    return configurations


def _varying(configurations: Sequence[dict[str, Any]]) -> list[str]:
    """The settings that are not the same for all runs."""
    keys = dict.fromkeys(key for values in configurations for key in values)
    absent = object()
    first = configurations[0] if configurations else {}
    return [key for key in keys if any(one.get(key, absent) != first.get(key, absent) for one in configurations)]


def _named(values: dict[str, Any]) -> str:
    return " · ".join(f"{key} {_text(value)}" for key, value in values.items())


def _text(value: Any) -> str:
    """A value as it is recorded; equal counts of all classes in short."""
    if isinstance(value, list) and len(value) > 3 and len(set(map(str, value))) == 1:
        return f"{len(value)} x {value[0]}"
    return value if isinstance(value, str) else json.dumps(value)
