"""Every run of a panel: what became of it, its whole configuration, and where it was made."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from osakd.report.statistics.panel import RecordedPanel
from osakd.report.tables.table import Column, Table, table_of
from osakd.runs import FinishedRun, RunRecord


def run_table(panel: RecordedPanel) -> tuple[Table[RunRecord], list[tuple[str, str]]]:
    """A row for each run: finished, failed with its error, or how far it has come.

    Returns:
        The table, and the number of each environment in which runs were made with all that is recorded of it.
    """
    finished = [run for run in panel.runs if isinstance(run, FinishedRun)]
    environments = {run.environment_key: run.result.environment for run in finished}
    known = {key: {name: value for name, value in of.items() if value is not None} for key, of in environments.items()}
    places = {key: f"E{number}" for number, key in enumerate(environments, start=1)}

    def of(head: str, text: Callable[[FinishedRun], str], *, is_text: bool = False) -> Column[RunRecord]:
        return Column(head, lambda run: text(run) if isinstance(run, FinishedRun) else "-", is_text)

    columns = (
        Column[RunRecord]("method", lambda run: run.label, is_text=True),
        Column[RunRecord]("seed", lambda run: "-" if run.seed is None else str(run.seed)),
        of("deployed %", lambda run: f"{100 * run.result.deployed_scores()['accuracy']:.2f}"),
        of("best on test %", lambda run: f"{100 * run.result.best_on_test['accuracy']:.2f}"),
        of("at epoch", lambda run: str(run.result.best_on_test["epoch"])),
        of("last epoch %", lambda run: f"{100 * run.result.last['test']['accuracy']:.2f}"),
        of("NLL", lambda run: f"{run.result.deployed_scores()['nll']:.3f}"),
        of("seconds", lambda run: f"{run.result.seconds:,.0f}"),
        of("made in", lambda run: places[run.environment_key], is_text=True),
        Column[RunRecord]("state", lambda run: run.state_in_words, is_text=True),
    )
    note = "Seconds of training and evaluation, a run's share where runs are fused."
    table = Table("Every run", columns, panel.runs, note, lambda run: run.label)
    return table, [(places[key], _in_words(environment)) for key, environment in known.items()]


def settings_of(panel: RecordedPanel) -> tuple[list[tuple[str, str]], Table[Sequence[str]] | None]:
    """The settings in which no two runs of a panel differ, and a table of the others; None where there are none.

    A method's own setting is compared with that of the methods that have it. Runs that differ by their seeds alone
    share a row.
    """
    settings = []  # of each run but its seed; those of its data and of its method by dotted name
    for run in panel.runs:
        if run.config is not None:
            values = {key: value for key, value in vars(run.config).items() if key not in ("data", "settings", "seed")}
            data = {f"data.{key}": value for key, value in run.config.data.items()}
            method = {f"method.{key}": value for key, value in run.config.settings.items()}
            settings.append((run, data | values | method))
    known: dict[str, set[str]] = {}
    for _, values in settings:
        for key, value in values.items():
            known.setdefault(key, set()).add(_as_recorded(value))
    shared = [(key, next(iter(values))) for key, values in known.items() if len(values) == 1]
    seeds: dict[tuple[str, str], list[str]] = {}
    for run, values in settings:
        words = _in_words({key: value for key, value in values.items() if len(known[key]) > 1})
        seeds.setdefault((run.label, words), []).append(str(run.seed))
    rows = [(label, ", ".join(of_row), words) for (label, words), of_row in seeds.items()]
    if not any(words for *_, words in rows):
        return shared, None
    note = "Everything else is the same for all runs that have it, below."
    table = table_of("What differs between runs", ("method", "seeds", "settings"), rows, note, words=(0, 1, 2))
    return shared, replace(table, label=itemgetter(0))


def _in_words(values: dict[str, Any]) -> str:
    return " · ".join(f"{key} {_as_recorded(value)}" for key, value in values.items())


def _as_recorded(value: Any) -> str:
    """A value as it is recorded, ``-`` for none; equal counts of all classes in short."""
    if isinstance(value, list) and len(value) > 3 and len(set(map(str, value))) == 1:
        return f"{len(value)} x {value[0]}"
    return value if isinstance(value, str) else "-" if value is None else json.dumps(value)
