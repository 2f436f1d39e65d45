"""Run folders as a training would leave them, with made numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from osakd.durable import append
from osakd.plan import Experiment, Panel, PanelMethod, View
from osakd.records import METRICS, Result, RunConfig, write_config, write_result
from osakd.report.statistics.panel import RecordedPanel
from osakd.runs import FinishedRun, RunRecord, curve_of, read_runs

DATA: dict[str, Any] = {
    "name": "cifar10", "kind": "folder", "content": "0123456789abcdef", "input_shape": [3, 32, 32],
    "class_counts": [5000] * 10, "train": 50000, "validation": 0, "test": 10000,
}  # fmt: skip
OSAKD: dict[str, Any] = {
    "k": 8, "soft_weight": 0.9, "pool": "batch", "space": "softmax", "divergence": "kl", "balance": "additive",
    "include_self": False,
}  # fmt: skip
CONFIG = RunConfig(
    data=DATA, model="lenet", method="plain", settings={}, seed=0, epochs=3, batch_size=64, optimizer="sgd",
    learning_rate=0.001, momentum=0.9, nesterov=False, weight_decay=0.0, max_grad_norm=None, schedule="constant",
    milestones=[],
    gamma=0.1, scaling="half", validation=0.0,
)  # fmt: skip
ENVIRONMENT = {"osakd": "0.1.0", "commit": "abcdef", "device": "cpu", "executor": "serial"}


def row(epoch: int, accuracy: float, *, soft: bool, validated: bool) -> dict[str, Any]:
    """A row of a learning curve."""
    found: dict[str, Any] = {"epoch": epoch, "learning_rate": 0.001, "seconds": 2.0, "images_per_second": 100.0}
    found["train"] = {"total": 1.0 / epoch}
    if soft:
        found["train"] |= {
            "soft_label_mass": 0.1 * epoch, "soft_label_entropy": 2.0 / epoch, "soft_label_agreement": 0.2 * epoch,
        }  # fmt: skip
    found["test"] = {"accuracy": accuracy, "nll": 2.0 - accuracy, "ece": 0.02}
    return found | ({"validation": {"accuracy": accuracy + 0.01, "nll": 1.5, "ece": 0.03}} if validated else {})


def scores(accuracy: float) -> dict[str, float]:
    """Scores that are known from the accuracy."""
    return {"accuracy": accuracy, "nll": 2.0 - accuracy, "ece": 0.1}


def run_of(
    label: str,
    seed: int,
    tests: Sequence[float],
    *,
    validations: Sequence[float] = (),
    others: Mapping[str, Sequence[float]] | None = None,
    masses: Sequence[float] = (),
    environment: Mapping[str, Any] | None = None,
    **changes: Any,
) -> FinishedRun:
    """A finished run without files.

    Args:
        label: its label.
        seed: its seed.
        tests: test accuracy of each epoch.
        validations: validation accuracy of each epoch.
        others: test accuracies of other outputs, whose validation accuracies are those of the network and 0.01.
        masses: mass of the soft labels on the true class in each epoch.
        environment: where it was made, beside what is the same for all.
        changes: of its configuration.
    """
    rows: list[dict[str, Any]] = []
    for place, accuracy in enumerate(tests):
        found: dict[str, Any] = {"epoch": place + 1, "train": {"total": 1.0}, "test": scores(accuracy)}
        if validations:
            found["validation"] = scores(validations[place])
        if masses:
            mass, entropy, agreement = masses[place], 1.0, 0.5
            found["train"] |= {
                "soft_label_mass": mass, "soft_label_entropy": entropy, "soft_label_agreement": agreement,
            }  # fmt: skip
        if others:
            found["others"] = {name: {"test": scores(values[place])} for name, values in others.items()}
            for parts in found["others"].values() if validations else ():
                parts["validation"] = scores(validations[place] + 0.01)
        rows.append(found)
    best = {"accuracy": max(tests), "epoch": tests.index(max(tests)) + 1}
    cost = {"step_ms": 2.5, "memory_mib": 7.0}
    result = Result(len(rows), rows[-1], best, None, 12.5, ENVIRONMENT | (environment or {}), [], cost)
    config = replace(CONFIG, **({"seed": seed, "epochs": len(rows)} | changes))
    return FinishedRun(label, seed, Path(f"{label}-seed{seed}"), config, result, curve_of(rows))


def make_run(folder: Path, accuracies: Sequence[float], *, finished: bool = True, **changes: Any) -> Path:
    """A run with these test accuracies, in a folder called ``<label>-seed<seed>`` or anything else.

    Args:
        folder: of the run.
        accuracies: of each epoch.
        finished: it has a result.
        changes: of its configuration.
    """
    label, _, seed = folder.name.rpartition("-seed")
    own: dict[str, Any] = {"seed": int(seed) if label else 0, "epochs": len(accuracies)}
    if label.startswith("osakd"):
        own |= {"method": "osakd", "settings": OSAKD}
    elif label == "label-smoothing":
        own |= {"method": label, "settings": {"smoothing": 0.1}}
    config = replace(CONFIG, **(own | changes))
    write_config(folder, config)
    rows = [
        row(epoch, accuracy, soft="k" in config.settings, validated=config.validation > 0)
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    for of_epoch in rows:
        append(folder / METRICS, of_epoch)
    if finished:
        best = max(rows, key=lambda of_epoch: of_epoch["test"]["accuracy"])
        top = {"accuracy": best["test"]["accuracy"], "epoch": best["epoch"]}
        chosen = top | {"validation_accuracy": best["validation"]["accuracy"]} if config.validation else None
        cost = {"step_ms": 2.5, "memory_mib": 7.0}
        write_result(folder, Result(len(rows), rows[-1], top, chosen, 12.5, ENVIRONMENT, [], cost))
    return folder


def make_comparison(folder: Path, gaps: dict[str, float], seeds: int = 3) -> Path:
    """Runs of several methods, each better than 60 % by its gap at every epoch, the best epoch but the last."""
    for label, gap in gaps.items():
        for seed in range(seeds):
            base = 0.6 + gap + 0.001 * seed
            make_run(folder / f"{label}-seed{seed}", [base - 0.1, base, base - 0.02 + 0.0001 * seed * len(label)])
    return folder


def planned(
    name: str,
    methods: Sequence[PanelMethod],
    *,
    seeds: int = 3,
    epochs: int = 3,
    view: View = "paper",
    experiment: str = "table1",
    **more: Any,
) -> Experiment:
    """An experiment of one panel."""
    panel = Panel(name, name, epochs, tuple(methods), seeds, **more)
    return Experiment(experiment, "Table I", (panel,), view)


def read(folder: Path) -> RunRecord:
    """A run as a report reads it."""
    (run,) = read_runs(folder)
    return run


def panel_of(runs: Sequence[RunRecord], experiment: Experiment | None = None) -> RecordedPanel:
    """A panel of these runs."""
    plan = experiment.panels[0] if experiment else None
    return RecordedPanel("table1", plan.name if plan else "x", tuple(runs), experiment, plan)
