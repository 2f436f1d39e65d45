"""A comparison in numbers, as ``summary.json`` holds it."""

from dataclasses import asdict
from typing import Any

from osakd.report.statistics.panel import MethodScores, RecordedPanel
from osakd.report.statistics.scores import QUANTITIES

_ACCURACIES = ("deployed", "last", "best_on_test", "chosen_on_validation")
_NOT_SHARED = ("data", "model", "epochs", "method", "settings", "seed")


def summarise(panel: RecordedPanel) -> dict[str, Any]:
    """The summary of a panel with at least one finished run.

    Returns:
        ``name``, ``data``, ``model``, ``epochs``, ``notes``, ``environments`` (where the runs were made, each once),
        ``configuration`` (what all runs share), and ``methods``, in the order of the runs. Each has ``label``,
        ``method``, ``settings``, ``seeds`` and ``predictor`` (None for the deployed network; else another output: an
        ensemble, a branch); the accuracies and the ECE are in 0 to 1, the NLL is in nats:

        - ``values`` of each seed: those of ``QUANTITIES`` that every seed has; the ``spreads`` of each, ``n``, ``mean``
          and ``std``, which is None for a single seed;
        - ``differences`` of the accuracies to plain training, paired by seed, with their 95 % interval: ``n``,
          ``mean``, ``low``, ``high``;
        - ``curves``: test accuracy of each of the ``epochs`` that were evaluated, a list for each seed.
    """
    config = panel.finished[0].config
    return {
        "name": panel.name,
        "data": config.data,
        "model": config.model,
        "epochs": panel.epochs,
        "methods": [_of_method(method) for method in panel.methods],
        "notes": panel.notes,
        "environments": list({run.environment_key: run.result.environment for run in panel.finished}.values()),
        "configuration": {key: value for key, value in asdict(config).items() if key not in _NOT_SHARED},
    }


def _of_method(method: MethodScores) -> dict[str, Any]:
    spreads = {name: method.spread(measure) for name, measure in QUANTITIES.items()}
    known = {name: spread for name, spread in spreads.items() if spread}
    gains = {name: method.gain(QUANTITIES[name]) for name in _ACCURACIES}
    prefix = f"others.{method.output}." if method.output else ""
    series = [run.curve.get(f"{prefix}test.accuracy") for run in method.runs]
    config = method.runs[0].config
    return {
        "label": method.name,
        "method": config.method,
        "settings": config.settings,
        "seeds": [run.seed for run in method.runs],
        "values": {name: list(method.by_seed(QUANTITIES[name]).values()) for name in known},
        "spreads": {name: asdict(spread) for name, spread in known.items()},
        "differences": {name: asdict(gain) for name, gain in gains.items() if gain},
        "curves": [list(accuracies) for _, accuracies in series],
        "epochs": list(series[0].epochs),
        "predictor": method.output or None,
    }
