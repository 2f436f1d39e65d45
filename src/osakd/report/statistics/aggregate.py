"""From runs to a summary: means, standard deviations, paired differences to plain training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from osakd.methods.registry import run_notes
from osakd.plan import BASELINE
from osakd.records import DataRecord
from osakd.report.statistics.pooled import left_out, pooled
from osakd.report.statistics.runs import FinishedRun, RunRecord, by_label
from osakd.report.statistics.spread import Difference, Spread, paired_by_seed, spread

ACCURACIES = ("last", "best_on_test", "chosen_on_validation")


@dataclass(frozen=True)
class MethodSummary:
    """A method of a comparison; accuracies and ECE in 0 to 1, NLL in nats; values by name, one per seed.

    Attributes:
        label: its name in tables.
        method: name of the method.
        settings: its hyperparameters.
        seeds: seeds of its finished runs.
        values: ``last``, ``best_on_test``, ``best_epoch``, ``nll``, ``ece``, ``step_ms``, ``memory_mib`` of each, and
            ``validation`` (the best one over the epochs) and ``chosen_on_validation`` (the test accuracy there) where a
            split was held out.
        spreads: mean and standard deviation of each of the values.
        differences: paired differences of the accuracies to plain training, or to the method's own baseline.
        curves: test accuracy of each evaluated epoch, one sequence per seed.
        epochs: which epochs these are.
        predictor: None for the deployed network; else another output of the method: an ensemble, a branch.
    """

    label: str
    method: str
    settings: dict[str, Any]
    seeds: list[int]
    values: dict[str, list[float]]
    spreads: dict[str, Spread]
    differences: dict[str, Difference]
    curves: list[Sequence[float]]
    epochs: list[int]
    predictor: str | None = None

    @property
    def trained(self) -> int:
        """The epochs of each of its runs: the last one is always evaluated."""
        return self.epochs[-1]

    def by_seed(self, key: str) -> dict[int, float]:
        """One of its values for each seed."""
        return dict(zip(self.seeds, self.values[key], strict=True))


@dataclass(frozen=True)
class Summary:
    """A comparison.

    Attributes:
        name: name of its folder.
        data: name, content hash and counts of the data.
        model: name of the network.
        epochs: epochs of each run.
        methods: its methods, in the order given.
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

    def to_dict(self) -> dict[str, Any]:
        """Every value, for JSON."""
        values = asdict(self)
        for method in values["methods"]:
            method["curves"] = [list(curve) for curve in method["curves"]]
        return values


def summarise(name: str, runs: Sequence[RunRecord], baselines: Mapping[str, str] | None = None) -> Summary:
    """Summarises finished runs; those that have not finished are left out, and those shorter than their label's.

    Args:
        name: name of the comparison.
        runs: its runs, at least one of them finished.
        baselines: label that a label is compared with, where that is not plain training.
    """
    used = pooled(runs)
    labels = by_label(used)
    methods = []
    for label, members in labels.items():
        other = (baselines or {}).get(label, BASELINE)
        baseline = labels.get(other, {}) if other != label else {}
        first = next(iter(members.values()))
        # What a method predicts beside its deployed network: branches, peers, ensembles.
        methods += [
            _summarise_method(label if one is None else f"{label}: {one}", members, baseline, one)
            for one in (None, *first.result.last.get("others", {}))
        ]
    config = used[0].config
    own = ("data", "model", "epochs", "method", "settings", "seed")
    return Summary(
        name=name,
        data=config.data,
        model=config.model,
        epochs=max(run.config.epochs for run in used),  # methods with stages may share them out
        methods=methods,
        notes=_notes(used) + left_out(runs),
        environments=environments_of(used),
        configuration={key: value for key, value in asdict(config).items() if key not in own},
    )


def environments_of(runs: Sequence[FinishedRun]) -> list[dict[str, Any]]:
    """Where runs were made, without repetition."""
    environments: dict[str, dict[str, Any]] = {}
    for run in runs:
        environments.setdefault(run.environment_key, run.result.environment)
    return list(environments.values())


def _summarise_method(
    label: str, members: Mapping[int, FinishedRun], baseline: Mapping[int, FinishedRun], predictor: str | None
) -> MethodSummary:
    scores = {seed: _scores(run, predictor) for seed, run in members.items()}
    theirs = {seed: _scores(run, None) for seed, run in baseline.items()}
    first = next(iter(members.values()))
    names = [name for name in next(iter(scores.values())) if all(name in one for one in scores.values())]
    differences = {
        name: paired_by_seed(
            {seed: one[name] for seed, one in scores.items()},
            {seed: one[name] for seed, one in theirs.items() if name in one},
        )
        for name in ACCURACIES
        if name in names
    }
    series = [run.curve.get(f"{_prefix(predictor)}test.accuracy") for run in members.values()]
    values = {name: [one[name] for one in scores.values()] for name in names}
    return MethodSummary(
        label=label,
        method=first.config.method,
        settings=first.config.settings,
        seeds=list(members),
        values=values,
        spreads={name: spread(ones) for name, ones in values.items()},
        differences={name: one for name, one in differences.items() if one is not None},
        curves=[one.values for one in series],
        epochs=list(series[0].epochs),
        predictor=predictor,
    )


def _scores(run: FinishedRun, predictor: str | None) -> dict[str, float]:
    """The values of a run by name, those of its deployed network or of another output."""
    result = run.result
    if predictor is None:
        last, best, chosen = result.last["test"], result.best_on_test, result.chosen_on_validation
        scores = {"last": last["accuracy"], "best_on_test": best["accuracy"], "best_epoch": best["epoch"]}
        scores |= {"nll": last["nll"], "ece": last["ece"]}
    else:
        accuracy, nll, ece = (run.curve.get(f"{_prefix(predictor)}test.{key}") for key in ("accuracy", "nll", "ece"))
        best = max(range(len(accuracy.values)), key=accuracy.values.__getitem__)
        scores = {"last": accuracy.values[-1], "best_on_test": accuracy.values[best]}
        scores |= {"best_epoch": accuracy.epochs[best], "nll": nll.values[-1], "ece": ece.values[-1]}
        chosen = _chosen(run, predictor) if result.chosen_on_validation is not None else None
    if result.cost:
        scores |= {key: result.cost[key] for key in ("step_ms", "memory_mib")}
    if chosen is not None:
        scores |= {"validation": chosen["validation_accuracy"], "chosen_on_validation": chosen["accuracy"]}
    return scores


def _chosen(run: FinishedRun, predictor: str) -> dict[str, float]:
    """The accuracies of another output at the epoch of its best validation accuracy."""
    validation = run.curve.get(f"{_prefix(predictor)}validation.accuracy")
    best = max(range(len(validation.values)), key=validation.values.__getitem__)
    test = run.curve.get(f"{_prefix(predictor)}test.accuracy")
    return {"accuracy": test.values[best], "validation_accuracy": validation.values[best]}


def _prefix(predictor: str | None) -> str:
    return "" if predictor is None else f"others.{predictor}."


def _notes(runs: Sequence[FinishedRun]) -> list[str]:
    """The notes of the methods and of the runs, each once; a method's are the same for all of its seeds."""
    of_method: dict[str, list[str]] = {}
    notes: list[str] = []
    for run in runs:
        config = run.config
        key = json.dumps([config.method, config.settings, config.batch_size, config.data["class_counts"]])
        if key not in of_method:
            of_method[key] = run_notes(config)
            notes += of_method[key]
        notes += [f"Note: {note}" for note in run.result.notes]
    return list(dict.fromkeys(notes))
