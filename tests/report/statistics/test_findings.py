"""The findings: the verdict first, right for every kind of panel, and silent where nothing is known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from osakd.plan import PanelMethod, Published
from osakd.report.charts.forest import forest
from osakd.report.statistics.findings import findings
from osakd.report.statistics.format import NO_DIFFERENCE
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.summary import summarise
from osakd.report.tables.results import comparison_table
from osakd.runs import Series
from tests.report.made import panel_of, planned, run_of

GAPS = {"plain": 0.0, "osakd-8nn": 0.02, "label-smoothing": -0.01}
PUBLISHED = {"plain": 60.2, "osakd-8nn": 62.5}


def panel(
    gaps: Mapping[str, float], published: Mapping[str, float] | None = None, *, seeds: int = 3, **more: Any
) -> RecordedPanel:
    """Each method is better than 60 % by its gap in its second epoch, and falls by two points in the last one."""
    runs = []
    for label, gap in gaps.items():
        method = "osakd" if label.startswith("osakd") else "plain"
        for seed in range(seeds):
            accuracy = 0.6 + gap + 0.001 * seed
            runs.append(run_of(label, seed, [0.5, accuracy, accuracy - 0.02], method=method))
    if published is None and not more:
        return panel_of(runs)
    methods = [PanelMethod(label, label, Published(mean, 0.5)) for label, mean in (published or {}).items()]
    return panel_of(runs, planned("x", methods, **({"ours": "osakd-8nn"} | more)))


def test_beside_the_paper() -> None:
    first, plain, last, best, smoothing = findings(panel(GAPS, PUBLISHED))
    assert first.startswith("osakd-8nn against plain: better at the last epoch (+2.00 [")
    assert first.endswith("points); the paper's gain is +2.30, 3 seeds.")
    assert "reproduces the paper: 60.10 ± 0.10 % at the best epoch on test (paper: 60.20 ± 0.50 %)" in plain
    assert plain.endswith("58.10 ± 0.10 % at the last epoch, 3 seeds.")
    assert last == "Against plain training at the last epoch: better: osakd-8nn; worse: label-smoothing."
    assert best == "Against plain training at the best epoch on test: better: osakd-8nn; worse: label-smoothing."
    assert smoothing.startswith("osakd-8nn against label-smoothing: better at the last epoch (+3.00 [")


def test_every_method_of_a_comparison_is_placed() -> None:
    """However many they are, each stands once in a sentence of its verdict."""
    runs = panel({"plain": 0.0, "osakd": 0.02, "label-smoothing": -0.01, "kd": 0.0, "dml": 0.03, "late": 0.1}).finished
    runs = [run for run in runs if (run.label, run.seed) != ("late", 0)]
    runs[runs.index(next(run for run in runs if run.label == "kd"))] = run_of("kd", 0, [0.5, 0.7, 0.7])
    (placed,) = [one for one in findings(panel_of(runs)) if one.startswith("Against plain")]
    groups = ("better: osakd, dml", "worse: label-smoothing", f"{NO_DIFFERENCE}: kd", "too few seeds to tell: late")
    assert placed == f"Against plain training as deployed: {'; '.join(groups)}."


def test_equal_networks_have_no_difference_but_a_word() -> None:
    """In the table, in the chart, in the summary and in the findings."""
    accuracies = {"plain": [[0.5, 0.6], [0.5, 0.7]], "a": [[0.5, 0.6], [0.5, 0.7]], "b": [[0.4, 0.6], [0.4, 0.8]]}
    runs = [run_of(label, seed, tests) for label, seeds in accuracies.items() for seed, tests in enumerate(seeds)]
    same = panel_of(runs)
    assert "plain and a trained equal networks: what differs between these methods did nothing." in findings(same)
    table = comparison_table(same)
    assert [row[3].partition(" ")[0] for row in table.cells] == ["-", "identical", "+5.00"]
    chart = forest(same.deployed, {"plain": 0, "a": 1, "b": 2})
    assert chart
    assert ">a</text>" not in chart.drawing
    assert [bool(method["differences"]) for method in summarise(same)["methods"]] == [False, False, True]
    assert not [one for one in findings(panel(GAPS)) if "equal" in one]


def test_soft_labels_without_a_part_in_the_loss_are_no_difference() -> None:
    """What differs from plain training then is rounding, however far it has grown."""
    runs = [run_of("plain", seed, [0.6, 0.7]) for seed in range(3)]
    for seed in range(3):
        run = run_of("osakd", seed, [0.6, 0.71 + 0.001 * seed], method="osakd")
        share = {"train.soft_share": Series((1, 2), (1e-7, 1e-5))}
        runs.append(replace(run, curve=replace(run.curve, series={**run.curve.series, **share})))
    idle = panel_of(runs)
    assert comparison_table(idle).cells[1][3] == "identical but for rounding"
    assert any("The soft labels of osakd had no part in the loss" in one for one in findings(idle))


def test_one_accuracy_with_every_seed_is_said() -> None:
    stuck = panel_of([run_of(label, seed, [0.5, 0.625]) for label in ("plain", "kd") for seed in range(3)])
    assert findings(stuck)[-1].startswith("plain and kd reach 62.50 % with every seed: they may answer one class")


@pytest.mark.parametrize(("paper", "words"), [(50.0, "is better than in"), (70.0, "is worse than in")])
def test_plain_training_beside_other_numbers(paper: float, words: str) -> None:
    assert f"Plain training {words} the paper:" in findings(panel(GAPS, {"plain": paper}))[1]


def test_what_falls_short_of_the_plan_is_said() -> None:
    first, plain, *_, smoothing = findings(panel(GAPS, PUBLISHED, seeds=2, epochs=100))
    assert first.startswith("osakd-8nn against plain: too few seeds to tell")
    assert plain.startswith("Too few runs to compare plain training with the paper")
    assert all(one.endswith("2 of 3 seeds, 3 of 100 epochs.") for one in (first, plain, smoothing))


def test_a_difference_has_the_seeds_of_both() -> None:
    """The method has three seeds, label smoothing two: their difference has two."""
    whole = panel(GAPS, PUBLISHED)
    runs = [run for run in whole.finished if (run.label, run.seed) != ("label-smoothing", 2)]
    first, *_, smoothing = findings(panel_of(runs, whole.experiment))
    assert first.endswith(" 3 seeds.")
    assert smoothing.endswith(", 2 of 3 seeds.")


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        ({"osakd-8nn": 0.0}, ["Plain training was not run, so no gain is known; osakd-8nn reaches 58.10"]),
        ({"plain": 0.0, "label-smoothing": 0.1}, ["No method is recommended", "Against plain training as deployed: b"]),
        ({"label-smoothing": 0.0}, ["Plain training was not run"]),
        ({"plain": 0.0}, ["Plain training reaches"]),
    ],
)
def test_a_comparison_without_plain_or_osakd(gaps: dict[str, float], words: Sequence[str]) -> None:
    found = findings(panel(gaps))
    assert len(found) == len(words)
    assert all(one.startswith(expected) for one, expected in zip(found, words, strict=True))


def test_the_method_is_the_one_that_the_plan_names() -> None:
    """Not the first with soft labels, which it is only where nothing was planned."""
    gaps = {"plain": 0.0, "osakd-4nn": 0.01, "osakd-8nn": 0.02, "label-smoothing": 0.015}
    assert findings(panel(gaps, PUBLISHED))[0].startswith("osakd-8nn against plain: better")
    assert findings(panel(gaps))[-1].startswith("osakd-4nn against label-smoothing: worse")


def test_no_common_seed_decides_nothing() -> None:
    runs = [run_of("plain", 0, [0.6]), run_of("osakd-8nn", 1, [0.7], method="osakd")]
    words = findings(panel_of(runs, planned("x", [], ours="osakd-8nn")))[0]
    assert words.startswith("osakd-8nn against plain: no seed is common to both")


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_study_is_decided_by_validation(seeds: int) -> None:
    """Not by the last epoch, in which the other method is better."""
    runs = [
        run_of(label, seed, [*tests, tests[0]], validations=[0.01 + test for test in tests] + [0.1])
        for label, tests in {"plain": [0.5, 0.6], "osakd-k=4": [0.3, 0.7]}.items()
        for seed in range(seeds)
    ]
    words = findings(panel_of(runs, planned("x", [], view="validation")))[0]
    assert words.startswith("Validation chooses osakd-k=4 of 2: 71.00")
    assert "70.00" in words
    assert ("too few seeds to tell against plain" in words) == (seeds == 1)
    assert ("better against plain" in words) == (seeds == 3)
    alone = panel_of(runs[:seeds], planned("x", [], view="validation"))
    assert findings(alone)[0].startswith("Validation chooses plain of 1")


def test_a_study_with_a_run_without_validation_is_a_comparison() -> None:
    recorded = panel({"plain": 0.0, "osakd": 0.01}, PUBLISHED, view="validation", ours="osakd")
    assert findings(recorded)[0].startswith("osakd against plain: better at the last epoch (")
    assert findings(replace(recorded, runs=())) == ["Not run."]
    assert findings(panel_of([])) == ["No run has finished yet."]
