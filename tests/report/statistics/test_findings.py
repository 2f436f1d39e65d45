"""The findings: right for every kind of folder, and silent where nothing is known."""

import shutil
from pathlib import Path

import pytest

from osakd.plan import Cell, Published, View
from osakd.report.layout import recorded_columns
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.findings import compared, findings
from osakd.report.statistics.scores import BEST, LAST
from osakd.report.statistics.spread import Difference
from tests.report.made import make_comparison, make_run, planned

GAPS = {"plain": 0.0, "osakd-8nn": 0.02, "label-smoothing": -0.01}


def column(
    folder: Path,
    *published: tuple[str, float],
    view: View = "paper",
    epochs: int = 3,
    ours: str | None = "osakd-8nn",
) -> RecordedColumn:
    cells = [Cell(label, label, Published(mean, 0.5)) for label, mean in published]
    experiment = planned(folder.name, cells, epochs=epochs, view=view, ours=ours)
    return recorded_columns(folder, [experiment] if cells else [])[0]


def test_beside_the_paper(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/cifar10", GAPS)
    first, second, third = findings([column(folder, ("plain", 60.2), ("osakd-8nn", 62.5))])
    assert first == (
        "Plain training reproduces the paper: 60.10 ± 0.10 % at the best epoch on test (paper: 60.20 ± 0.50 %); "
        "58.15 ± 0.15 % at the last epoch, 3 seeds."
    )
    assert second == (
        "osakd-8nn is better than plain training at the last epoch (+2.04 [+1.94, +2.14] points) and at the best epoch "
        "on test (+2.00 [+2.00, +2.00] points). The paper's gain is +2.30 points at the best epoch on test. 3 seeds."
    )
    assert third.startswith("Label smoothing is worse than plain training at the last epoch (-0.90 [")
    assert " 3 seeds. osakd-8nn is better than label smoothing at the last epoch (+2.94 [" in third
    assert third.endswith("points). 3 seeds.")


@pytest.mark.parametrize(("paper", "words"), [(50.0, "is better than in"), (70.0, "is worse than in")])
def test_plain_training_beside_other_numbers(tmp_path: Path, paper: float, words: str) -> None:
    folder = make_comparison(tmp_path / "table1/cifar10", GAPS)
    assert f"Plain training {words} the paper:" in findings([column(folder, ("plain", paper))])[0]


def test_smaller_versions_are_labelled(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/cifar10", GAPS, 2)
    first, second, third = findings([column(folder, ("plain", 60.2), ("osakd-8nn", 62.5), epochs=100)])
    assert first.startswith("Too few runs to compare plain training with the paper (at least 3): 60.05 ")
    assert first.endswith("at the last epoch, 2 of 3 seeds, 3 of 100 epochs.")
    assert second.startswith("Too few seeds to compare osakd-8nn with plain training at the last epoch (+2.02 [")
    assert second.endswith(" Smaller than planned: 2 of 3 seeds, 3 of 100 epochs.")
    assert third.count("Smaller than planned: 2 of 3 seeds, 3 of 100 epochs.") == 2


def test_a_difference_has_the_seeds_of_both(tmp_path: Path) -> None:
    """The method has three seeds, label smoothing two: their difference has two."""
    folder = make_comparison(tmp_path / "table1/cifar10", GAPS)
    shutil.rmtree(folder / "label-smoothing-seed2")
    _, second, third = findings([column(folder, ("plain", 60.2), ("osakd-8nn", 62.5))])
    assert second.endswith(" 3 seeds.")
    assert third.count("Smaller than planned: 2 of 3 seeds.") == 2
    assert third.endswith("Smaller than planned: 2 of 3 seeds.")


def test_each_column_has_paragraphs_with_its_name(tmp_path: Path) -> None:
    columns = [column(make_comparison(tmp_path / f"table1/{name}", GAPS), ("plain", 60.2)) for name in ("a", "b")]
    make_comparison(tmp_path / "c", {"plain": 0.1, "osakd-8nn": 0.0})
    found = findings([*columns, column(tmp_path / "c")])
    assert len(found) == 9
    assert found[0].startswith("On a, plain training reproduces the paper: 60.10")
    assert found[3].startswith("On b, plain training reproduces the paper: 60.10")
    assert found[8] == "On c, label smoothing was not run, so what smoothing alone gains is unknown."


def test_a_comparison_without_plain_or_osakd(tmp_path: Path) -> None:
    found = findings([column(make_comparison(tmp_path / "a", {"osakd-8nn": 0.0}))])
    assert found == [
        "Plain training was not run, so no gain is known. The best last epoch is osakd-8nn's: 58.19 ± 0.19 %, 3 seeds.",
        "osakd-8nn reaches 58.19 ± 0.19 % at the last epoch and 60.10 ± 0.10 % at the best epoch on test, 3 seeds.",
        "Label smoothing was not run, so what smoothing alone gains is unknown.",
    ]
    found = findings([column(make_comparison(tmp_path / "b", {"plain": 0.0, "label-smoothing": 0.1}))])
    assert found[1].startswith(
        "The best of the other methods is label-smoothing. label-smoothing is better than plain training at the last "
        "epoch (+10.10 ["
    )
    found = findings([column(make_comparison(tmp_path / "c", {"label-smoothing": 0.0}))])
    assert found[1] == "No method with soft labels of neighbours was run."
    assert found[2] == "Label smoothing reaches 58.25 ± 0.25 % at the last epoch, 3 seeds."
    found = findings([column(make_comparison(tmp_path / "d", {"plain": 0.0}, 1))])
    assert found[0] == "Plain training reaches 58.00 % at the last epoch and 60.00 % at the best epoch on test, 1 seed."
    assert found[1] == "Only plain training was run."


def test_the_method_is_the_one_that_the_plan_names(tmp_path: Path) -> None:
    """Not the first with soft labels, which it is only where nothing was planned."""
    folder = make_comparison(tmp_path / "table1/x", {"plain": 0.0, "osakd-4nn": 0.01, "osakd-8nn": 0.02})
    assert findings([column(folder, ("plain", 60.2))])[1].startswith("osakd-8nn is better")
    assert findings([column(folder)])[1].startswith("osakd-4nn is better")


def test_another_baseline_is_not_plain_training(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/x", {"plain": 0.0, "dml": 0.01, "kd": 0.3})
    cells = [Cell("plain", "plain"), Cell("dml", "dml"), Cell("kd", "kd", baseline="dml")]
    (found,) = recorded_columns(folder, [planned("x", cells)])
    assert findings([found])[1].startswith("The best of the other methods is dml. dml is")


def test_no_common_seed_decides_nothing(tmp_path: Path) -> None:
    make_run(tmp_path / "plain-seed0", [0.6])
    make_run(tmp_path / "osakd-8nn-seed1", [0.7])
    words = "No seed is common to osakd-8nn and plain training, so they cannot be compared. 1 seed."
    assert findings([column(tmp_path)])[1] == words


def test_a_study_is_decided_by_validation(tmp_path: Path) -> None:
    folder = tmp_path / "table1/study"
    for label, accuracies in {"plain": [0.5, 0.6], "osakd-k=4": [0.7, 0.3], "osakd": [0.5, 0.65]}.items():
        make_run(folder / f"{label}-seed0", accuracies, validation=0.1)
    assert findings([column(folder, ("plain", 60.0), view="readings")])[1] == (
        "Of 3 cells, validation chooses osakd-k=4: 71.00 % on validation, 70.00 % on test, 1 of 3 seeds, 2 of 3 "
        "epochs. Too few seeds to compare it with plain (61.00 % on validation, 60.00 % on test): +10.00 points on "
        "validation, 1 seed."
    )
    more = tmp_path / "table1/more"
    for label, accuracy in {"plain": 0.6, "osakd-k=4": 0.7}.items():
        for seed in range(3):
            make_run(more / f"{label}-seed{seed}", [0.5, accuracy + 0.001 * seed, 0.1], validation=0.1)
    assert findings([column(more, ("plain", 60.0), view="readings")])[1] == (
        "Of 2 cells, validation chooses osakd-k=4: 71.10 ± 0.10 % on validation, 70.10 ± 0.10 % on test, 3 seeds. It "
        "is better than plain (61.10 ± 0.10 % on validation, 60.10 ± 0.10 % on test): +10.00 [+10.00, +10.00] points "
        "on validation, 3 seeds."
    )
    make_run(tmp_path / "table1/alone/plain-seed0", [0.5, 0.6, 0.6], validation=0.1)
    assert findings([column(tmp_path / "table1/alone", ("plain", 60.0), view="readings")])[1].startswith(
        "Of 1 cell, validation chooses plain: "
    )


def test_a_study_with_a_run_without_validation_is_a_comparison(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/study", {"plain": 0.0, "osakd": 0.01})
    found = findings([column(folder, ("plain", 60.0), view="readings", ours="osakd")])
    assert found[1].startswith("osakd is better than plain training at the last epoch (")


def test_verdicts_that_differ_are_two_sentences() -> None:
    """An interval that includes zero is no significant difference, however large its mean."""
    differences = {LAST: Difference(3, 0.02, 0.01, 0.03), BEST: Difference(3, 0.01, -0.01, 0.03)}
    assert compared("ours", "theirs", differences) == (
        "ours is better than theirs at the last epoch (+2.00 [+1.00, +3.00] points). No significant difference (95 %) "
        "between ours and theirs at the best epoch on test (+1.00 [-1.00, +3.00] points)."
    )
