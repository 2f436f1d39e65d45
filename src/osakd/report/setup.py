"""Every run of a column: what became of it, its whole configuration, and where it was made."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from osakd.report.grids import Grid
from osakd.report.layout import Entry
from osakd.report.plan import Column


def run_grid(column: Column) -> Grid:
    """A row for each run: finished, failed with its error, or how far it has come."""
    places = _environments(column.entries)
    rows = []
    for entry in column.entries:
        result, seed = entry.result, "-" if entry.seed is None else str(entry.seed)
        if result is None:
            rows.append([entry.label, seed, *["-"] * 6, state_of(entry)])
            continue
        best, last = result.best_on_test, result.last["test"]
        rows.append(
            [
                entry.label,
                seed,
                f"{100 * best['accuracy']:.2f}",
                str(best["epoch"]),
                f"{100 * last['accuracy']:.2f}",
                f"{last['nll']:.3f}",
                f"{result.seconds:,.0f}",
                f"E{places.index(result.environment) + 1}",
                "finished",
            ]
        )
    head = ["method", "seed", "best on test %", "at epoch", "last epoch %", "NLL", "seconds", "made in", "state"]
    note = "Seconds of training and evaluation, a run's share where several went on in one program."
    return Grid("Every run", head, rows, [entry.label for entry in column.entries], note, (0, 7, 8))


def state_of(entry: Entry) -> str:
    """Finished, damaged or failed and why, or how far it has come."""
    if entry.result is not None:
        return "finished"
    if entry.error is not None:
        return f"{'damaged' if entry.damaged else 'failed'}: {entry.error}"
    of_all = f" of {entry.config.epochs}" if entry.config else ""
    return f"unfinished: epoch {entry.epoch}{of_all}"


def environments(column: Column) -> list[tuple[str, str]]:
    """Where the finished runs were made: the number of each environment, and all that is recorded of it."""
    return [(f"E{number}", _named(place)) for number, place in enumerate(_environments(column.entries), start=1)]


def shared(column: Column) -> list[tuple[str, str]]:
    """The settings that all runs of a column have in common."""
    configurations = _configurations(column.entries)
    varying = _varying(configurations)
    first = configurations[0][2] if configurations else {}
    return [(key, _text(value)) for key, value in first.items() if key not in varying]


def own_grid(column: Column) -> Grid | None:
    """What differs between runs; those that differ by their seeds alone share a row. None without a configuration."""
    configurations = _configurations(column.entries)
    varying = _varying(configurations)
    by_values: dict[tuple[str, str], list[str]] = {}
    for label, seed, values in configurations:
        words = _named({key: values[key] for key in varying if key in values})
        by_values.setdefault((label, words), []).append(str(seed))
    if not by_values:
        return None
    rows = [[label, ", ".join(seeds), words or "-"] for (label, words), seeds in by_values.items()]
    note = "With the settings of all runs, this is each run's whole configuration."
    return Grid(
        "What differs between runs", ["method", "seeds", "settings"], rows, [row[0] for row in rows], note, (0, 1, 2)
    )


def _environments(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    places: list[dict[str, Any]] = []
    for entry in entries:
        if entry.result is not None and entry.result.environment not in places:
            places.append(entry.result.environment)
    return places


def _configurations(entries: Sequence[Entry]) -> list[tuple[str, int, dict[str, Any]]]:
    """Label, seed and settings of each run; those of its data and of its method by dotted name."""
    found = []
    for entry in entries:
        if entry.config is None:
            continue
        values = asdict(entry.config)
        data, settings, seed = (values.pop(key) for key in ("data", "settings", "seed"))
        flat = {f"data.{key}": value for key, value in data.items()} | values
        found.append((entry.label, seed, flat | {f"method.{key}": value for key, value in settings.items()}))
    return found


def _varying(configurations: Sequence[tuple[str, int, dict[str, Any]]]) -> list[str]:
    """The settings that are not the same for all runs."""
    every = [values for _, _, values in configurations]
    keys = dict.fromkeys(key for values in every for key in values)
    absent = object()
    return [key for key in keys if any(values.get(key, absent) != every[0].get(key, absent) for values in every)]


def _named(values: dict[str, Any]) -> str:
    return " · ".join(f"{key} {_text(value)}" for key, value in values.items())


def _text(value: Any) -> str:
    """A value as it is recorded; equal counts of all classes in short."""
    if isinstance(value, list) and len(value) > 3 and len(set(map(str, value))) == 1:
        return f"{len(value)} x {value[0]}"
    return value if isinstance(value, str) else json.dumps(value)
