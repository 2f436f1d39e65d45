"""A comparison in numbers, as ``summary.json`` holds it."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TypedDict

from osakd.records import DataRecord
from osakd.report.statistics.panel import MethodScores, RecordedPanel
from osakd.report.statistics.scores import QUANTITIES
from osakd.runs import FinishedRun

_ACCURACIES = ("deployed", "last", "best_on_test", "chosen_on_validation")
_NOT_SHARED = ("data", "model", "epochs", "method", "settings", "seed")


class MethodSummary(TypedDict):
    """A method of a comparison; accuracies and ECE in 0 to 1, NLL in nats.

    Attributes:
        label: its name in tables.
        method: name of the method.
        settings: its hyperparameters.
        seeds: seeds of its finished runs.
        values: ``deployed``, ``deployed_nll``, ``deployed_ece`` (of the deployed network), ``last``, ``best_on_test``,
            ``best_epoch``, ``nll``, ``ece``, ``step_ms``, ``memory_mib`` of each seed, and where
            a split was held out ``validation`` (the best over the epochs) and ``chosen_on_validation`` (on test there).
        spreads: ``n``, ``mean`` and ``std`` of each of the values; ``std`` is None for a single seed.
        differences: ``n``, ``mean``, ``low`` and ``high`` (95 % interval) of the paired differences of the accuracies
            to plain training; none of plain training itself.
        curves: test accuracy of each evaluated epoch, a list for each seed.
        epochs: which epochs these are.
        predictor: None for the deployed network; else another output of the method: an ensemble, a branch.
    """

    label: str
    method: str
    settings: dict[str, Any]
    seeds: list[int]
    values: dict[str, list[float]]
    spreads: dict[str, dict[str, Any]]
    differences: dict[str, dict[str, Any]]
    curves: list[list[float]]
    epochs: list[int]
    predictor: str | None


class Summary(TypedDict):
    """A comparison.

    Attributes:
        name: name of its folder.
        data: name, content hash and counts of the data.
        model: name of the network.
        epochs: epochs of each run.
        methods: its methods, in the order of the runs.
        notes: what its reader should know.
        environments: where the runs were made, without repetition.
        configuration: what all runs share.
    """

    name: str
    data: DataRecord
    model: str
    epochs: int
    methods: list[MethodSummary]
    notes: list[str]
    environments: list[dict[str, Any]]
    configuration: dict[str, Any]


def summarise(panel: RecordedPanel) -> Summary:
    """The summary of a panel with at least one finished run."""
    config = panel.finished[0].config
    return Summary(
        name=panel.name,
        data=config.data,
        model=config.model,
        epochs=panel.epochs,
        methods=[_of_method(method) for method in panel.methods],
        notes=panel.notes,
        environments=environments_of(panel.finished),
        configuration={key: value for key, value in asdict(config).items() if key not in _NOT_SHARED},
    )


def environments_of(runs: Iterable[FinishedRun]) -> list[dict[str, Any]]:
    """Where runs were made, without repetition."""
    return list({run.environment_key: run.result.environment for run in runs}.values())


def _of_method(method: MethodScores) -> MethodSummary:
    spreads = {name: method.spread(measure) for name, measure in QUANTITIES.items()}
    known = {name: spread for name, spread in spreads.items() if spread}
    gains = {name: method.gain(QUANTITIES[name]) for name in _ACCURACIES}
    prefix = f"others.{method.output}." if method.output else ""
    series = [run.curve.get(f"{prefix}test.accuracy") for run in method.runs]
    config = method.runs[0].config
    return MethodSummary(
        label=method.name,
        method=config.method,
        settings=config.settings,
        seeds=[run.seed for run in method.runs],
        values={name: list(method.by_seed(QUANTITIES[name]).values()) for name in known},
        spreads={name: asdict(spread) for name, spread in known.items()},
        differences={name: asdict(gain) for name, gain in gains.items() if gain},
        curves=[list(accuracies) for _, accuracies in series],
        epochs=list(series[0].epochs),
        predictor=method.output or None,
    )
