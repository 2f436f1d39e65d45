"""Studies: what validation chooses, gains with last and averaged weights, contrasts, and what is recommended."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from osakd.plan import TUNED, PanelMethod
from osakd.report.statistics.findings import advice
from osakd.report.statistics.format import NO_DIFFERENCE
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.scores import AVERAGED
from osakd.report.statistics.spread import holm
from osakd.report.statistics.study import contrasts, is_harmless, mean_gain, overall, tuned_smoothing, worst
from osakd.report.tables.study import (
    against_tables,
    contrast_tables,
    deployed_table,
    overall_table,
    validation_table,
    weights_table,
)
from osakd.report.text import panel_text, study_texts
from osakd.runs import FinishedRun
from tests.report.made import panel_of, planned, run_of

SEEDS = (0.0, 0.002, 0.004)
ONE = {"plain": 0.0, "label-smoothing": 0.01, "label-smoothing=0.3": 0.02, "osakd": 0.03}
VALIDATIONS = {"label-smoothing=0.3": -0.02}


def setting(
    name: str,
    gains: Mapping[str, float],
    validations: Mapping[str, float] = VALIDATIONS,
    *,
    averaging: float = 0.02,
    seeds: Sequence[float] = SEEDS,
) -> RecordedPanel:
    """A panel whose gains over plain training are given: on the test images, on those held out, by averaging."""
    runs = []
    for label, gain in gains.items():
        for seed, shift in enumerate(seeds):
            test, validation = 0.5 + shift + gain * (1 + shift), 0.5 + shift + validations.get(label, 0.0)
            others = {AVERAGED: [test + averaging]}
            runs.append(run_of(label, seed, [test], validations=[validation], others=others))
    methods = [PanelMethod(label, label) for label in gains]
    compared = {"osakd": ("plain", TUNED, "label-smoothing=0.3", "ps-kd")}
    return panel_of(runs, planned(name, methods, epochs=1, view="study", contrasts=compared, ours="osakd"))


@pytest.fixture
def panels() -> list[RecordedPanel]:
    return [setting("one", ONE), setting("two", ONE | {"osakd": -0.01})]


def test_gains_in_all_settings_and_in_the_worst(panels: list[RecordedPanel]) -> None:
    rows = {row.name: row for row in overall(panels)}
    assert next(iter(rows)) == "label-smoothing"  # plain training is not compared with itself
    assert list(rows)[-1] == "osakd, averaged"
    ours = rows["osakd"].over_plain
    assert ours["one"].mean == pytest.approx(0.03 * 1.002)
    assert mean_gain(ours) == pytest.approx(0.01 * 1.002)
    assert worst(ours)[0] == "two"
    assert not is_harmless(ours)
    assert is_harmless(rows["label-smoothing, averaged"].over_plain)
    # Smoothing is tuned by validation: the stronger one is better on the test images alone.
    assert tuned_smoothing(panels[0], "") == "label-smoothing"
    assert rows["osakd"].over_smoothing["one"].mean == pytest.approx(0.02 * 1.002)
    assert rows["label-smoothing"].over_smoothing == {}


def test_contrasts_are_corrected_together(panels: list[RecordedPanel]) -> None:
    rows = contrasts(panels)
    others = ["plain", "tuned label smoothing", "label-smoothing=0.3"]  # PS-KD has no runs
    assert [row.baseline for row in rows] == [*others, *(f"{name}, averaged" for name in others)]
    p_values = [gain.p_value for row in rows for gain in row.accuracy.values()]
    assert len(p_values) == 12  # in two settings
    assert [p for row in rows for p in row.adjusted.values()] == pytest.approx(holm(p_values))
    accuracy, nll = contrast_tables(panels)
    assert accuracy.head == ["method", "against", "one", "two"]
    assert accuracy.cells[0][2].startswith("+3.01 [")
    assert accuracy.cells[0][2].endswith("]*")
    assert [row[2].partition(" ")[0] for row in nll.cells[:3]] == ["-0.030", "-0.020", "-0.010"]
    two_seeds = [setting("one", ONE, seeds=SEEDS[:2])]
    assert overall(two_seeds)
    assert contrasts(two_seeds) == []  # two seeds decide nothing


def test_last_and_averaged_weights_stand_side_by_side(panels: list[RecordedPanel]) -> None:
    table = weights_table(panels[0])
    assert [row[0] for row in table.cells] == list(ONE)
    assert table.cells[0][:4] == ["plain", "3", "50.20 ± 0.20", "-"]
    assert table.cells[3][6].startswith("55.2")
    assert table.cells[3][7].startswith("+3.0")
    assert "label-smoothing (last weights), label-smoothing (averaged)" in table.note
    before, after = study_texts(panels)
    assert before.startswith("- On one, take ")
    assert overall_table(panels).title in before
    assert all(table.title in after for table in contrast_tables(panels))
    assert study_texts([]) == ("", "")


def test_what_is_deployed_by_setting(panels: list[RecordedPanel]) -> None:
    rows = {row[0]: row[1:] for row in deployed_table(panels).cells}
    assert rows["plain, last epoch"] == ["50.20 / 1.50 / 10.0"] * 2
    assert rows["osakd, chosen"][0].startswith("55.2")  # two points by averaging
    assert rows["osakd - plain, both chosen"][0].startswith("+3.01 [")
    assert rows["osakd, chosen - plain, last epoch"][0].startswith("+5.01 [")
    assert rows["osakd, chosen - plain, last epoch"][1].startswith("+1.0")


def test_a_study_in_words(panels: list[RecordedPanel]) -> None:
    assert "| osakd | 3 |" in panel_text(panels[0], "study")


@pytest.mark.parametrize(
    ("gain", "validation", "words"),
    [
        pytest.param(0.05, 0.05, ["Take osakd, averaged", "over label-smoothing"], id="better on both"),
        pytest.param(0.02, 0.05, ["Take label-smoothing, averaged", "not shown to be better"], id="validation alone"),
        pytest.param(0.20, 0.0, ["Take label-smoothing, averaged"], id="test images alone, which do not count"),
    ],
)
def test_validation_chooses_and_the_test_images_agree(gain: float, validation: float, words: list[str]) -> None:
    gains = {"plain": 0.0, "label-smoothing": 0.02, "osakd": gain}
    taken = advice(setting("one", gains, {"label-smoothing": 0.03, "osakd": validation}))
    assert all(word in taken for word in words), taken


def test_plain_training_is_taken_where_nothing_is_shown_to_be_better() -> None:
    gains = {"plain": 0.0, "label-smoothing": -0.05}
    taken = advice(setting("one", gains, {"label-smoothing": 0.03}, averaging=-0.01))
    assert taken.startswith("Take plain: 50.20 ± 0.20 %")
    assert "nothing is shown to be better: label-smoothing" in taken


def test_without_validation_nothing_is_recommended() -> None:
    runs = [run_of(label, seed, [0.5]) for label in ("plain", "osakd") for seed in range(3)]
    assert "no images were held out" in advice(panel_of(runs))
    assert advice(panel_of(runs[:3])) == ""


def study(
    runs: Sequence[FinishedRun], seeds: int, epochs: int, methods: Sequence[PanelMethod] = (), **more: Any
) -> RecordedPanel:
    return panel_of(runs, planned("study", methods, seeds=seeds, epochs=epochs, view="validation", **more))


def validated(label: str, accuracies: Sequence[float]) -> list[FinishedRun]:
    """Runs of two epochs; the first is worse, and so are the test accuracies."""
    return [
        run_of(label, seed, [one - 0.2, one - 0.1], validations=[one - 0.1, one]) for seed, one in enumerate(accuracies)
    ]


def test_a_method_is_better_or_worse_in_each_score_or_not() -> None:
    """Paired differences by hand: 2, 2 and 3 points, whose half-width is 4.303 s / sqrt(3)."""
    runs = [*validated("label-smoothing", [0.60, 0.61, 0.62]), *validated("better", [0.62, 0.63, 0.65])]
    runs += [*validated("mixed", [0.60, 0.62, 0.61]), *validated("few", [0.70])]
    (table,) = against_tables(study(runs, 3, 2))
    assert [row[0] for row in table.cells] == ["better", "mixed"]
    assert table.cells[0][1:4] == ["3", "+2.33 [+0.90, +3.77]", "-0.023 [-0.038, -0.009]"]
    assert table.cells[0][5] == "better accuracy, NLL"
    assert table.cells[1][5] == NO_DIFFERENCE
    assert against_tables(study(runs[3:], 3, 2)) == []
    assert against_tables(study(runs, 5, 4))[0].cells[0][1] == "3 (3 of 5 seeds, 2 of 4 epochs)"


def test_seeds_that_chose_the_methods_are_left_out_of_a_second_verdict() -> None:
    """The first seed alone speaks for the method; without it there is nothing left of the gain."""
    runs = [*validated("label-smoothing", [0.60] * 4), *validated("lucky", [0.70, *[0.60] * 3])]
    (table,) = against_tables(study(runs, 5, 2, chose=(0,)))
    assert table.cells[0][1] == "4 (4 of 5 seeds)"
    assert table.cells[0][2].startswith("+2.50 [")
    assert table.head[-1].startswith("without seeds 0")
    assert table.cells[0][-1] == f"n = 3 (3 of 4 seeds): +0.00 [+0.00, +0.00]; {NO_DIFFERENCE}"


def test_methods_with_fewer_seeds_stand_below() -> None:
    """The seeds that they lack may be better or worse than those that they have."""
    table = validation_table(study([*validated("one", [0.7]), *validated("two", [0.6, 0.6])], 2, 2))
    assert [row[0] for row in table.cells] == ["two", "one"]


def test_each_method_is_compared_with_its_baseline_and_what_is_smaller_or_missing_is_said() -> None:
    """Seeds to spare make up for nothing."""
    accuracies = {"plain": [0.60] * 3, "plain-batch=32": [0.70], "batch=32": [0.71, 0.72], "k=4": []}
    runs = [run for label, values in accuracies.items() for run in validated(label, values)]
    methods = [
        PanelMethod(label, "x", baseline="plain-batch=32" if label == "batch=32" else "plain") for label in accuracies
    ]
    panel = study(runs, 2, 60, methods)
    rows = {row[0]: row[1:] for row in validation_table(panel).cells}
    assert rows["batch=32"][0] == "2 (2 of 60 epochs)"
    assert rows["batch=32"][2] == "+1.00 (1 pair)"
    assert rows["plain-batch=32"][0] == "1 (1 of 2 seeds, 2 of 60 epochs)"
    assert rows["plain"][2] == "-"
    assert rows["plain"][-1].endswith("(of 2)")
    text = panel_text(panel, "validation")
    assert panel.other_baselines in text
    assert "batch=32 to plain-batch=32" in panel.other_baselines
    assert text.endswith("Missing: 3 of 8 runs.")
