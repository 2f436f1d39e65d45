"""From run folders to a summary: means, standard deviations, paired differences to plain training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from osakd.methods.registry import run_notes
from osakd.records import Result, RunConfig, read_config, read_metrics, read_result
from osakd.report.pooled import left_out, pooled

BASELINE = "plain"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """A mean over seeds; the sample standard deviation (n - 1) is None for a single value."""

    n: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class Difference:
    """A mean paired difference and its 95 % interval (paired t), None for a single pair."""

    n: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class MethodSummary:
    """One method of a comparison; accuracies and ECE in 0 to 1, NLL in nats; values by name, one per seed.

    Attributes:
        label: what it is called.
        method: its name.
        settings: its hyperparameters.
        seeds: of its finished runs.
        values: ``last``, ``best_on_test``, ``best_epoch``, ``nll``, ``ece``, ``step_ms``, ``memory_mib`` of each, and
            ``validation`` (the best one over the epochs) and ``chosen_on_validation`` (the test accuracy there) where a
            split was held out.
        spreads: of each of the values.
        differences: to plain training (or its own baseline) with the same seeds, of the accuracies.
        curves: test accuracy of each evaluated epoch, one list per seed.
        epochs: which epochs these are.
        predictor: None for the deployed network; else what the method predicts beside it: an ensemble, a branch.
    """

    label: str
    method: str
    settings: dict[str, Any]
    seeds: list[int]
    values: dict[str, list[float]]
    spreads: dict[str, Spread]
    differences: dict[str, Difference]
    curves: list[list[float]]
    epochs: list[int]
    predictor: str | None = None

    @property
    def trained(self) -> int:
        """The epochs of each of its runs: the last one is always evaluated."""
        return self.epochs[-1]


@dataclass(frozen=True)
class Summary:
    """A comparison.

    Attributes:
        name: of its folder.
        data: name, content hash and counts.
        model: name of the network.
        epochs: of each run.
        methods: in the order given.
        notes: what its reader should know.
        environments: where the runs were made, without repetition.
        configuration: what all runs share.
    """

    name: str
    data: dict[str, Any]
    model: str
    epochs: int
    methods: list[MethodSummary]
    notes: list[str]
    environments: list[dict[str, Any]]
    configuration: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Every value, for JSON."""
        return asdict(self)


def summarise(name: str, runs: Sequence[tuple[str, Path]], baselines: Mapping[str, str] | None = None) -> Summary:
    """The summary of finished runs; those that have not finished are left out, and those shorter than their label's.

    Args:
        name: of the comparison.
        runs: label and folder of each.
        baselines: label of what differences are taken to, by label, where it is not plain training.
    """
    done = [(label, folder) for label, folder in runs if read_result(folder) is not None]
    found = [(label, folder, read_config(folder), read_result(folder)) for label, folder in pooled(done)]
    finished = [(label, folder, config, result) for label, folder, config, result in found if config and result]
    by_label: dict[str, list[tuple[Path, RunConfig, Result]]] = {}
    for label, folder, config, result in finished:
        by_label.setdefault(label, []).append((folder, config, result))
    methods = []
    for label, members in by_label.items():
        other = (baselines or {}).get(label, BASELINE)
        others = by_label.get(other, []) if other != label else []
        baseline = {config.seed: result for _, config, result in others}
        methods.append(_summarise_method(label, members, baseline))
        # What a method predicts beside its deployed network: branches, peers, ensembles.
        for name in members[0][2].last.get("others", {}):
            parts = [(folder, config, _of_predictor(result, folder, name)) for folder, config, result in members]
            methods.append(_summarise_method(f"{label}: {name}", parts, baseline, name))
    config = finished[0][2]
    own = ("data", "model", "epochs", "method", "settings", "seed")
    environments = [result.environment for _, _, _, result in finished]
    return Summary(
        name=name,
        data=config.data,
        model=config.model,
        epochs=max(config.epochs for _, _, config, _ in finished),  # methods with stages may share them out
        methods=methods,
        notes=_notes([(config, result) for _, _, config, result in finished]) + left_out(done),
        environments=[e for number, e in enumerate(environments) if e not in environments[:number]],
        configuration={key: value for key, value in asdict(config).items() if key not in own},
    )


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation.

    Example:
        >>> spread([1.0, 2.0, 3.0])
        Spread(n=3, mean=2.0, std=1.0)
    """
    return Spread(len(values), fmean(values), stdev(values) if len(values) > 1 else None)


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """The mean of ours - theirs, pair by pair, with the paired t interval.

    Example:
        >>> difference = paired_difference([2.0, 3.0, 5.0], [1.0, 1.0, 2.0])
        >>> round(difference.mean, 3), round(difference.low, 3), round(difference.high, 3)
        (2.0, -0.484, 4.484)
    """
    gaps = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    mean = fmean(gaps)
    if len(gaps) < 2:
        return Difference(len(gaps), mean, None, None)
    from scipy.special import stdtrit

    half = float(stdtrit(len(gaps) - 1, (1 + CONFIDENCE) / 2)) * stdev(gaps) / math.sqrt(len(gaps))
    return Difference(len(gaps), mean, mean - half, mean + half)


def _summarise_method(
    label: str, members: list[tuple[Path, RunConfig, Result]], baseline: dict[int, Result], predictor: str | None = None
) -> MethodSummary:
    results = [result for _, _, result in members]
    by_seed = {config.seed: result for _, config, result in members}
    common = [seed for seed in by_seed if seed in baseline]
    values = _values(results)
    ours, theirs = _values([by_seed[seed] for seed in common]), _values([baseline[seed] for seed in common])
    accuracies = [key for key in ("last", "best_on_test", "chosen_on_validation") if key in ours and common]
    return MethodSummary(
        label=label,
        method=members[0][1].method,
        settings=members[0][1].settings,
        seeds=list(by_seed),
        values=values,
        spreads={key: spread(found) for key, found in values.items()},
        differences={key: paired_difference(ours[key], theirs[key]) for key in accuracies},
        curves=[[row["test"]["accuracy"] for row in _evaluated(folder, predictor)] for folder, _, _ in members],
        epochs=[row["epoch"] for row in _evaluated(members[0][0], predictor)],
        predictor=predictor,
    )


def _evaluated(folder: Path, predictor: str | None) -> list[dict[str, Any]]:
    """The rows of a learning curve with scores, those of the deployed network or of another predictor."""
    rows = [row for row in read_metrics(folder) if "test" in row]
    return [row | row["others"][predictor] for row in rows] if predictor else rows


def _of_predictor(result: Result, folder: Path, name: str) -> Result:
    """The result as if another predictor than the deployed network were the run's."""
    rows = _evaluated(folder, name)
    best = max(rows, key=lambda row: row["test"]["accuracy"])
    best_on_test = {"accuracy": best["test"]["accuracy"], "epoch": best["epoch"]}
    if result.chosen_on_validation is None:
        return replace(result, last=rows[-1], best_on_test=best_on_test)
    chosen = max(rows, key=lambda row: row["validation"]["accuracy"])
    validated = {
        "accuracy": chosen["test"]["accuracy"],
        "validation_accuracy": chosen["validation"]["accuracy"],
        "epoch": chosen["epoch"],
    }
    return replace(result, last=rows[-1], best_on_test=best_on_test, chosen_on_validation=validated)


def _values(results: list[Result]) -> dict[str, list[float]]:
    values = {
        "last": [result.last["test"]["accuracy"] for result in results],
        "best_on_test": [result.best_on_test["accuracy"] for result in results],
        "best_epoch": [result.best_on_test["epoch"] for result in results],
        "nll": [result.last["test"]["nll"] for result in results],
        "ece": [result.last["test"]["ece"] for result in results],
    }
    if all(result.cost for result in results):
        values |= {key: [result.cost[key] for result in results] for key in ("step_ms", "memory_mib")}
    chosen = [result.chosen_on_validation for result in results]
    if chosen and all(chosen):
        values["validation"] = [found["validation_accuracy"] for found in chosen if found]
        values["chosen_on_validation"] = [found["accuracy"] for found in chosen if found]
    return values


def _notes(finished: list[tuple[RunConfig, Result]]) -> list[str]:
    """Each run's own notes and the ceilings of the soft labels, each once."""
    notes = []
    for config, result in finished:
        notes += run_notes(config) + [f"Note: {note}" for note in result.notes]
    return list(dict.fromkeys(notes))
