"""The committed records: one name for each method, as planned, and few bytes."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from osakd.data.recipes import recipe_for
from osakd.engine.config import as_today
from osakd.experiments.catalogue import EXPERIMENTS
from osakd.labels.ceiling import usual_pseudo_count
from osakd.methods.lookup import resolve_method
from osakd.methods.registry import METHODS
from osakd.methods.settings.base import RunDefaults
from osakd.methods.settings.neighbours import NeighbourSettings
from osakd.records import RunConfig
from osakd.runs import FinishedRun, finished, read_runs

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "records").glob("*/*.jsonl"))
RECIPES = {"tiny-imagenet-subset": recipe_for("tiny_imagenet")}
"""Data whose experiments take the recipe of other data."""
SEARCHED = ("cs-kd", "online-label-smoothing", "dlb", "bayesian-self-distillation", "tf-kd")
"""Methods whose runs of a retired experiment, the search before the study, are kept."""


def runs(path: Path) -> list[FinishedRun]:
    recorded = read_runs(path)
    assert len(finished(recorded)) == len(recorded) > 0
    return finished(recorded)


def settings_key(method: str, settings: dict[str, Any], data: dict[str, Any]) -> str:
    """The settings of a method without what the data fill in: the paper's weight, the pseudo-count of the classes."""
    values = settings | {"method": method}
    if "soft_weight" in values and issubclass(METHODS[method].settings, NeighbourSettings):
        recipe = RECIPES.get(data["name"], recipe_for(data["name"]))
        values["soft_weight"] = None if values["soft_weight"] == recipe.soft_weight else values["soft_weight"]
        if values["pseudo_count"] is None:
            values["pseudo_count"] = usual_pseudo_count(len(data["class_counts"]))
    return json.dumps(values, sort_keys=True)


def named() -> Iterator[tuple[str, str]]:
    """The label and the settings of every run, with the options in which it differs from most of its column."""
    for path in FILES:
        column = [replace(run, config=as_today(run.config)) for run in runs(path)]
        options = [(run.config.batch_size, run.config.learning_rate) for run in column]
        ((usual, _),) = Counter(options).most_common(1)
        for run, own in zip(column, options, strict=True):
            different = "" if own == usual else f" {own}"
            yield run.label, settings_key(run.config.method, run.config.settings, dict(run.config.data)) + different
    for path in (ROOT / "records/comparison/digits.json", ROOT / "docs/demo/digits.json"):
        summary = json.loads(path.read_text())
        for method in summary["methods"]:
            # Teachers, peers and ramps are filled in by the network and the epochs, so they differ there.
            if method["predictor"] is None and issubclass(METHODS[method["method"]].settings, NeighbourSettings):
                yield method["label"], settings_key(method["method"], method["settings"], summary["data"])


def test_one_name_is_one_method_and_one_method_has_one_name() -> None:
    settings, labels = defaultdict(set), defaultdict(set)
    for label, key in named():
        settings[label].add(key)
        labels[key].add(label)
    assert {label: keys for label, keys in settings.items() if len(keys) > 1} == {}
    assert [names for names in labels.values() if len(names) > 1] == []
    assert {"osakd", "osakd-16nn", "osakd-paper-8nn", "osakd-paper-16nn", "osakd-constant", "plain"} < set(settings)


def test_a_label_of_osakd_is_the_method_s_own() -> None:
    """What a user types as a method, where it is one, has the settings of the runs that are called so."""
    known = dict(named())
    data = {"name": "cifar10", "class_counts": [1] * 10}
    for label in ("osakd", "osakd-16nn", "osakd-paper-8nn", "osakd-paper-32nn", "osakd-constant", "osakd-uniform"):
        method, settings = resolve_method(label)
        assert settings_key(method, asdict(settings), data) == known[label]


PLANNED = [
    pytest.param(experiment, panel, id=f"{experiment.name}/{panel.name}")
    for experiment in EXPERIMENTS.values()
    for panel in experiment.panels
    if (ROOT / "records" / f"{experiment.folder_of(panel)}.jsonl").exists()
]


@pytest.mark.parametrize(("experiment", "panel"), PLANNED)
def test_a_packed_run_is_the_planned_one(experiment: Any, panel: Any) -> None:
    """Its method, its settings and its options, so that nothing of it is trained again."""
    methods = {method.label: method for method in panel.methods}
    recorded = [run for run in runs(ROOT / "records" / f"{experiment.folder_of(panel)}.jsonl") if run.label in methods]
    assert recorded
    for run in recorded:
        config: RunConfig = as_today(run.config)
        recipe = recipe_for(panel.data)
        method, settings = resolve_method(
            methods[run.label].method, RunDefaults(config.model, config.epochs, recipe.soft_weight)
        )
        assert (config.method, config.settings) == (method, asdict(settings))
        usual = {"learning_rate": recipe.learning_rate, "batch_size": recipe.batch_size, "epochs": panel.epochs}
        for option, value in (usual | panel.options | methods[run.label].options).items():
            assert getattr(config, option) == (list(value) if isinstance(value, tuple) else value)


def test_every_packed_run_has_a_plan_or_is_of_the_comparison() -> None:
    planned = {
        f"{experiment.folder_of(panel)}/{method.label}"
        for experiment in EXPERIMENTS.values()
        for panel in experiment.panels
        for method in panel.methods
    }
    recorded = {f"{path.parent.name}/{path.stem}/{run.label}" for path in FILES for run in runs(path)}
    unplanned = {name for name in recorded - planned if not name.startswith("comparison/")}
    assert unplanned == {
        *(f"variants/{panel}/osakd-squared" for panel in ("resnet8-tenth", "lenet-tenth", "lenet-svhn-subset")),
        *(f"variants/lenet-tenth/{label}" for label in SEARCHED),
    }


def test_the_records_are_few_files_and_hold_no_path() -> None:
    files = [path for path in (ROOT / "records").rglob("*") if path.is_file()]
    packed = b"".join(path.read_bytes() for path in FILES)
    assert len([path for path in files if path.suffix in (".jsonl", ".json")]) <= 20
    assert len(packed) < 6_000 * packed.count(b"\n")
    assert b"/home" not in packed
    assert b"/work" not in packed
