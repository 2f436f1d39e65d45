"""The three sentences: right for every kind of folder, and silent where nothing can be told."""

from pathlib import Path

import pytest

from osakd.report.aggregate import Difference
from osakd.report.findings import findings, judged
from osakd.report.layout import find_groups
from osakd.report.plan import Column, PlannedColumn, columns_of
from osakd.report.verdicts import PaperCell
from tests.report.made import make_comparison, make_run

GAPS = {"plain": 0.0, "osakd-8nn": 0.02, "label-smoothing": -0.01}


def column(folder: Path, *published: tuple[str, float], kind: str = "paper", epochs: int = 3) -> Column:
    cells = tuple(PaperCell(label, (mean, 0.5)) for label, mean in published)
    plan = PlannedColumn("table1", "Table I", folder.name, cells, 3, epochs, kind)  # type: ignore[arg-type]
    return columns_of(find_groups(folder), [plan] if cells else [])[0]


def test_beside_the_paper(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/cifar10", GAPS)
    first, second, third = findings([column(folder, ("plain", 60.2), ("osakd-8nn", 62.5))])
    assert first == (
        "Plain training reproduces the paper: 60.10 ± 0.10 % at the best epoch on test, where the paper has "
        "60.20 ± 0.50 %, and 58.15 ± 0.15 % at the last, n = 3."
    )
    assert second.startswith(
        "Against plain training with the same seeds, osakd-8nn is better at the best epoch on test (+2.00 [+2.00, "
        "+2.00] points), where the paper has +2.30, and better at the last (+2.04 ["
    )
    assert third.startswith("Against plain training, label smoothing is worse at the best epoch on test (-1.00 [")
    assert "against label smoothing, osakd-8nn is better at the best epoch on test (+3.00 [" in third


@pytest.mark.parametrize(("paper", "words"), [(50.0, "is better than in"), (70.0, "is worse than in")])
def test_plain_training_beside_other_numbers(tmp_path: Path, paper: float, words: str) -> None:
    folder = make_comparison(tmp_path / "table1/cifar10", GAPS)
    assert f"Plain training {words} the paper:" in findings([column(folder, ("plain", paper))])[0]


def test_smaller_versions_are_labelled(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/cifar10", GAPS, 2)
    first, second, third = findings([column(folder, ("plain", 60.2), ("osakd-8nn", 62.5), epochs=100)])
    assert "cannot be judged beside the paper, which takes three runs" in first
    assert first.endswith("at the last, 2 of 3 seeds, 3 of 100 epochs.")
    assert "undecided with 2 seeds" in second
    assert second.endswith(", 2 of 3 seeds, 3 of 100 epochs.")
    assert third.count(", 2 of 3 seeds, 3 of 100 epochs") == 2


def test_columns_are_joined_by_name(tmp_path: Path) -> None:
    columns = [column(make_comparison(tmp_path / f"table1/{name}", GAPS), ("plain", 60.2)) for name in ("a", "b")]
    make_comparison(tmp_path / "c", {"plain": 0.1, "osakd-8nn": 0.0})
    assert findings(columns)[0].startswith("On a and b plain training reproduces the paper: 60.10")
    found = findings([*columns, column(tmp_path / "c")])
    assert found[0].count("; on b plain training") == 1
    assert "; on c label smoothing is not among the finished runs" in found[2]


def test_a_comparison_without_plain_or_osakd(tmp_path: Path) -> None:
    found = findings([column(make_comparison(tmp_path / "a", {"osakd-8nn": 0.0}))])
    assert found == [
        "Plain training is not among the finished runs, so no difference to it can be told; the highest last epoch is "
        "osakd-8nn's, 58.19 ± 0.19 %, n = 3.",
        "OSAKD (osakd-8nn) reaches 60.10 ± 0.10 % at the best epoch on test and 58.19 ± 0.19 % at the last, n = 3.",
        "Label smoothing is not among the finished runs, so what smoothing alone does cannot be told.",
    ]
    found = findings([column(make_comparison(tmp_path / "b", {"plain": 0.0, "label-smoothing": 0.1}))])
    assert found[1].startswith(
        "OSAKD is not among the finished runs; against plain training, the highest of the others"
    )
    assert "label-smoothing, is better at the last (+10.10 [" in found[1]
    found = findings([column(make_comparison(tmp_path / "c", {"label-smoothing": 0.0}))])
    assert found[2] == "Label smoothing reaches 58.25 ± 0.25 % at the last, n = 3."
    assert len(findings([column(make_comparison(tmp_path / "d", {"plain": 0.0}, 1))])) == 3


def test_another_baseline_is_not_plain_training(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/x", {"plain": 0.0, "dml": 0.01, "kd": 0.3})
    cells = (PaperCell("plain", None), PaperCell("dml", None), PaperCell("kd", None, baseline="dml"))
    plan = PlannedColumn("table1", "Table I", "x", cells, 3, 3, "paper")
    assert "the highest of the others, dml, is" in findings(columns_of(find_groups(folder), [plan]))[1]


def test_no_common_seed_decides_nothing(tmp_path: Path) -> None:
    make_run(tmp_path / "plain-seed0", [0.6])
    make_run(tmp_path / "osakd-8nn-seed1", [0.7])
    assert "osakd-8nn is not to be told at the best epoch on test, for no seed" in findings([column(tmp_path)])[1]


def test_a_study_is_decided_by_validation(tmp_path: Path) -> None:
    folder = tmp_path / "table1/study"
    for label, accuracies in {"plain": [0.5, 0.6], "osakd-k=4": [0.7, 0.3], "osakd": [0.5, 0.65]}.items():
        make_run(folder / f"{label}-seed0", accuracies, validation=0.1)
    assert findings([column(folder, ("plain", 60.0), kind="readings")])[1] == (
        "Of 3 cells, validation chooses osakd-k=4: 71.00 % on validation, 70.00 % on test, 1 of 3 seeds, 2 of 3 "
        "epochs; plain: 61.00 % on validation, 60.00 % on test; undecided by 1 seed."
    )
    more = tmp_path / "table1/more"
    for label, accuracy in {"plain": 0.6, "osakd-k=4": 0.7}.items():
        for seed in range(3):
            make_run(more / f"{label}-seed{seed}", [0.5, accuracy + 0.001 * seed, 0.1], validation=0.1)
    assert findings([column(more, ("plain", 60.0), kind="readings")])[1] == (
        "Of 2 cells, validation chooses osakd-k=4: 71.10 ± 0.10 % on validation, 70.10 ± 0.10 % on test, n = 3; plain: "
        "61.10 ± 0.10 % on validation, 60.10 ± 0.10 % on test; a difference of +10.00 [+10.00, +10.00] points on "
        "validation, n = 3."
    )
    make_run(tmp_path / "table1/alone/plain-seed0", [0.5, 0.6, 0.6], validation=0.1)
    assert findings([column(tmp_path / "table1/alone", ("plain", 60.0), kind="readings")])[1].startswith(
        "Of 1 cell, validation chooses plain: "
    )


def test_a_study_with_a_run_without_validation_is_a_comparison(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/study", {"plain": 0.0, "osakd": 0.01})
    found = findings([column(folder, ("plain", 60.0), kind="readings")])
    assert found[1].startswith("Against plain training with the same seeds, osakd is better")


def test_an_interval_that_holds_zero_tells_nothing_apart() -> None:
    assert judged(Difference(3, 0.01, -0.01, 0.03), "here") == "not told apart here (+1.00 [-1.00, +3.00] points)"
