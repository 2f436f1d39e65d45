"""The findings: right for every kind of panel, and silent where nothing is known."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from osakd.plan import PanelMethod, Published
from osakd.report.statistics.findings import compared, findings
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.scores import BEST, LAST
from osakd.report.statistics.spread import Difference
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
    first, second, third = findings([panel(GAPS, PUBLISHED)])
    assert "reproduces the paper: 60.10 ± 0.10 % at the best epoch on test (paper: 60.20 ± 0.50 %)" in first
    assert first.endswith("58.10 ± 0.10 % at the last epoch, 3 seeds.")
    assert second.startswith("osakd-8nn is better than plain training at the last epoch (+2.00 [")
    assert "The paper's gain is +2.30 points" in second
    assert third.startswith("Label smoothing is worse than plain training at the last epoch (-1.00 [")
    assert "osakd-8nn is better than label smoothing at the last epoch (+3.00 [" in third


def test_equal_runs_are_said_to_be_equal() -> None:
    """By seed, whatever the other seeds are; other runs that end alike are not equal."""
    accuracies = {"plain": [[0.5, 0.6], [0.5, 0.7]], "a": [[0.5, 0.6], [0.4, 0.7]], "b": [[0.5, 0.6], [0.4, 0.7]]}
    runs = [run_of(label, seed, tests) for label, seeds in accuracies.items() for seed, tests in enumerate(seeds)]
    assert [sentence for sentence in findings([panel_of(runs)]) if "equal" in sentence] == [
        "plain, a and b trained equal networks (seed 0): what differs between these methods did nothing.",
        "a and b trained equal networks (seed 1): what differs between these methods did nothing.",
    ]
    assert not panel(GAPS).equal_runs


@pytest.mark.parametrize(("paper", "words"), [(50.0, "is better than in"), (70.0, "is worse than in")])
def test_plain_training_beside_other_numbers(paper: float, words: str) -> None:
    assert f"Plain training {words} the paper:" in findings([panel(GAPS, {"plain": paper})])[0]


def test_what_falls_short_of_the_plan_is_said() -> None:
    first, second, third = findings([panel(GAPS, PUBLISHED, seeds=2, epochs=100)])
    assert first.startswith("Too few runs to compare plain training with the paper")
    assert first.endswith("2 of 3 seeds, 3 of 100 epochs.")
    assert second.startswith("Too few seeds to compare osakd-8nn with plain training")
    assert third.count("Smaller than planned: 2 of 3 seeds, 3 of 100 epochs.") == 2


def test_a_difference_has_the_seeds_of_both() -> None:
    """The method has three seeds, label smoothing two: their difference has two."""
    whole = panel(GAPS, PUBLISHED)
    runs = [run for run in whole.finished if (run.label, run.seed) != ("label-smoothing", 2)]
    _, second, third = findings([panel_of(runs, whole.experiment)])
    assert second.endswith(" 3 seeds.")
    assert third.endswith("Smaller than planned: 2 of 3 seeds.")


def test_each_panel_has_paragraphs_with_its_name() -> None:
    paragraphs = findings([panel(GAPS, PUBLISHED), panel({"plain": 0.1, "osakd-8nn": 0.0})])
    assert len(paragraphs) == 6
    assert paragraphs[0].startswith("On x, plain training reproduces the paper")
    assert paragraphs[5].startswith("On x, label smoothing was not run")


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        ({"osakd-8nn": 0.0}, ["Plain training was not run", "osakd-8nn reaches 58.10", "smoothing was not run"]),
        ({"plain": 0.0, "label-smoothing": 0.1}, ["Plain training reaches", "best of the other methods is label-sm"]),
        ({"label-smoothing": 0.0}, ["was not run", "No method with soft labels", "Label smoothing reaches 58.10"]),
        ({"plain": 0.0}, ["Plain training reaches", "Only plain training was run"]),
    ],
)
def test_a_comparison_without_plain_or_osakd(gaps: dict[str, float], words: Sequence[str]) -> None:
    for paragraph, expected in zip(findings([panel(gaps)]), words, strict=False):
        assert expected in paragraph


def test_the_method_is_the_one_that_the_plan_names() -> None:
    """Not the first with soft labels, which it is only where nothing was planned."""
    gaps = {"plain": 0.0, "osakd-4nn": 0.01, "osakd-8nn": 0.02}
    assert findings([panel(gaps, PUBLISHED)])[1].startswith("osakd-8nn is better")
    assert findings([panel(gaps)])[1].startswith("osakd-4nn is better")


def test_another_baseline_is_not_plain_training() -> None:
    methods = [PanelMethod("kd", "kd", baseline="dml")]
    recorded = panel_of(panel({"plain": 0.0, "dml": 0.01, "kd": 0.3}).finished, planned("x", methods))
    assert findings([recorded])[1].startswith("The best of the other methods is dml. dml is")


def test_no_common_seed_decides_nothing() -> None:
    runs = [run_of("plain", 0, [0.6]), run_of("osakd-8nn", 1, [0.7], method="osakd")]
    assert findings([panel_of(runs)])[1].startswith("No seed is common to osakd-8nn and plain training")


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_study_is_decided_by_validation(seeds: int) -> None:
    """Not by the last epoch, in which the other method is better."""
    runs = [
        run_of(label, seed, [*tests, tests[0]], validations=[0.01 + test for test in tests] + [0.1])
        for label, tests in {"plain": [0.5, 0.6], "osakd-k=4": [0.3, 0.7]}.items()
        for seed in range(seeds)
    ]
    words = findings([panel_of(runs, planned("x", [], view="validation"))])[1]
    assert words.startswith("Of 2 methods, validation chooses osakd-k=4: 71.00")
    assert "70.00" in words
    assert ("Too few seeds to compare it" in words) == (seeds == 1)
    assert ("It is better than plain (61.00 ± 0.00 % on validation" in words) == (seeds == 3)
    alone = panel_of(runs[:seeds], planned("x", [], view="validation"))
    assert findings([alone])[1].startswith("Of 1 method, validation chooses plain")


def test_a_study_with_a_run_without_validation_is_a_comparison() -> None:
    recorded = panel({"plain": 0.0, "osakd": 0.01}, PUBLISHED, view="validation", ours="osakd")
    assert findings([recorded])[1].startswith("osakd is better than plain training at the last epoch (")


def test_verdicts_that_differ_are_two_sentences() -> None:
    """An interval that includes zero is no significant difference, however large its mean."""
    words = compared("a", "b", {LAST: Difference(3, 0.02, 0.01, 0.03), BEST: Difference(3, 0.01, -0.01, 0.03)})
    assert words.startswith("a is better than b at the last epoch (+2.00 [+1.00, +3.00] points). No significant")
    assert words.endswith("at the best epoch on test (+1.00 [-1.00, +3.00] points).")
