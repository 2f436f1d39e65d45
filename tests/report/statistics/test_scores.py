"""Measures and scores against NumPy and SciPy: which number of a run, and its mean, deviation and paired gain."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from osakd.report.statistics.scores import AVERAGED, BEST, CHOSEN, ECE, LAST, NLL, VALIDATION, Measure, Scores
from osakd.report.statistics.spread import Difference, holm, paired_difference, welch_sign
from tests.report.made import panel_of, run_of

RANDOM = np.random.default_rng(0)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=25))
def test_measures_of_a_curve_are_numpy_s(pairs: list[tuple[float, float]]) -> None:
    tests, validations = (list(values) for values in zip(*pairs, strict=True))
    run = run_of("plain", 0, tests, validations=validations)
    test, validation = np.array(tests), np.array(validations)
    chosen = validation.argmax()
    assert LAST.of(run) == test[-1]
    assert Measure(at="first").of(run) == test[0]
    assert BEST.of(run) == test.max()
    assert Measure("epoch", at="best").of(run) == test.argmax() + 1
    assert NLL.of(run) == 2 - test[-1]
    assert Measure("nll", at="best").of(run) == 2 - test.max()
    assert VALIDATION.of(run) == validation.max()
    assert CHOSEN.of(run) == test[chosen]
    assert Measure("nll", "validation", "best").of(run) == 2 - validation.max()
    assert Measure("drop").of(run) == test.max() - test[-1]
    std = test[-10:].std(ddof=1) if len(test) > 1 else 0.0
    assert Measure("std_of_last_epochs").of(run) == pytest.approx(std, abs=1e-12)


def test_measures_of_other_outputs_and_of_the_whole_run() -> None:
    run = run_of("one", 0, [0.5, 0.7], validations=[0.6, 0.5], others={"branch2": [0.9, 0.5], AVERAGED: [0.4, 0.8]})
    assert Measure(output=AVERAGED).of(run) == 0.8
    assert Measure(at="by_validation", output="branch2").of(run) == 0.9
    assert Measure("nll", output="branch2").of(run) == 1.5
    # The best epoch of the mean of both, not the mean of their best epochs.
    assert Measure(at="best", mean_with=("branch2",)).of(run) == pytest.approx(0.7)
    assert Measure(mean_with=("branch2", AVERAGED)).of(run) == pytest.approx(2.0 / 3)
    assert [Measure(metric).of(run) for metric in ("seconds", "step_ms", "memory_mib")] == [12.5, 2.5, 7.0]


@pytest.mark.parametrize(
    "measure",
    [
        VALIDATION,
        CHOSEN,
        Measure(output=AVERAGED),
        Measure(mean_with=("branch2",)),
        Measure("soft_label_mass", "train"),
    ],
)
def test_what_a_run_has_not_recorded_is_none(measure: Measure) -> None:
    assert measure.of(run_of("plain", 0, [0.5, 0.6])) is None
    assert Measure("nll", at="first").of(run_of("plain", 0, [0.5])) == 1.5


def test_only_the_longest_runs_of_a_label_count_and_the_others_are_named() -> None:
    lengths = {"plain": [2, 4, 4, 2, 1], "srdl": [2, 2]}  # a method with stages has fewer epochs
    runs = [run_of(label, seed, [0.5] * n) for label, of_label in lengths.items() for seed, n in enumerate(of_label)]
    panel = panel_of([*runs, run_of("srdl", 1, [0.5, 0.9])])
    assert {label: list(of_label) for label, of_label in panel.scores.runs.items()} == {
        "plain": [1, 2],
        "srdl": [0, 1],
    }
    assert panel.scores.by_seed("srdl", LAST) == {0: 0.5, 1: 0.9}  # the later one of a seed that is recorded twice
    first, second = panel.shorter_runs
    assert first.startswith("2 runs of another length (2 epochs)")
    assert second.endswith(": plain-seed4")
    assert (panel.epochs, panel.notes) == (4, panel.shorter_runs)


def of(values: dict[str, dict[int, float]], **more: Any) -> Scores:
    return Scores(
        run_of(label, seed, [value], **more) for label, seeds in values.items() for seed, value in seeds.items()
    )


def test_spreads_and_gains_are_scipy_s() -> None:
    ours, theirs = RANDOM.uniform(0.4, 0.6, 7), RANDOM.uniform(0.4, 0.6, 9)
    scores = of({"ours": dict(enumerate(ours, start=2)), "theirs": dict(enumerate(theirs))})
    spread = scores.spread("ours", LAST)
    assert (spread.n, spread.mean, spread.std) == (7, pytest.approx(ours.mean()), pytest.approx(ours.std(ddof=1)))
    gain = scores.gain("ours", "theirs", LAST)
    test = stats.ttest_rel(ours, theirs[2:])  # seeds 2 to 8 are common
    low, high = test.confidence_interval(0.95)
    assert (gain.n, gain.low, gain.high) == (7, pytest.approx(low), pytest.approx(high))
    assert gain.p_value == pytest.approx(test.pvalue)
    assert scores.gain("ours", "theirs", LAST, without=(2, 3)).mean == pytest.approx((ours[2:] - theirs[4:]).mean())
    assert scores.gain("ours", "ours", LAST, over=ECE).mean == pytest.approx(ours.mean() - 0.1)


def test_nothing_in_common_or_not_recorded_by_all_is_none() -> None:
    scores = of({"a": {0: 0.5}, "b": {1: 0.6}})
    assert scores.gain("a", "b", LAST) is scores.gain("a", "c", LAST) is scores.spread("c", LAST) is None
    half = Scores([run_of("a", 0, [0.5], validations=[0.5]), run_of("a", 1, [0.5])])
    assert half.spread("a", VALIDATION) is None
    assert half.by_seed("a", VALIDATION) == {0: 0.5}


def test_the_best_has_the_highest_mean() -> None:
    scores = of({"a": {0: 0.5, 1: 0.9}, "b": {0: 0.8}, "c": {0: 0.9}})
    assert scores.best(["a", "b"], LAST) == "b"
    assert scores.best(["a", "b", "none"], NLL) == "a"
    assert scores.best([], LAST) is scores.best(["a"], VALIDATION) is None


def test_a_difference_decides_with_three_seeds_whose_interval_excludes_zero() -> None:
    assert paired_difference([0.5, 0.6, 0.7], [0.1, 0.2, 0.31]).sign == 1
    assert paired_difference([0.1, 0.2, 0.31], [0.5, 0.6, 0.7]).sign == -1
    assert paired_difference([0.5, 0.1, 0.9], [0.4, 0.3, 0.2]).sign == 0
    assert paired_difference([0.5, 0.6], [0.1, 0.2]).sign is None
    assert paired_difference([0.5, 0.6, 0.7], [0.5, 0.6, 0.7]).p_value == Difference(1, 0.5, None, None).p_value == 1


def test_holm_is_the_step_down_of_bonferroni() -> None:
    """A value is below 0.05 where it and all smaller ones pass their own Bonferroni bound."""
    p_values = RANDOM.uniform(0, 0.05, 12)
    order = np.argsort(p_values)
    passed = np.logical_and.accumulate(p_values[order] <= 0.05 / np.arange(12, 0, -1))
    adjusted = np.array(holm(p_values.tolist()))
    assert (adjusted[order] <= 0.05).tolist() == passed.tolist()
    assert holm([]) == []


@pytest.mark.parametrize("shift", [-3.0, -0.9, -0.3, 0.0, 0.4, 0.8, 3.0])
@pytest.mark.parametrize("runs", [3, 5, 9])
def test_the_sign_beside_a_published_mean_is_welch_s_test(shift: float, runs: int) -> None:
    ours = np.random.default_rng(runs).normal(64.7 + shift, 0.5, runs)
    test = stats.ttest_ind_from_stats(ours.mean(), ours.std(ddof=1), runs, 64.7, 0.65, 5, equal_var=False)
    expected = 0 if test.pvalue >= 0.05 else 1 if ours.mean() > 64.7 else -1
    assert welch_sign(ours.tolist(), 64.7, 0.65, 5) == expected
