"""What is recorded beside what was planned: columns that were never run are shown with those that were."""

from pathlib import Path

from osakd.report.layout import find_groups
from osakd.report.plan import Column, PlannedColumn, columns_of
from osakd.report.verdicts import PaperCell
from tests.report.made import make_comparison

CELLS = (PaperCell("osakd-8nn", (62.0, 0.1)), PaperCell("plain", (60.0, 0.1)))
PLANS = [
    PlannedColumn("table1", "Table I", "cifar10", CELLS, 5, 3, "paper"),
    PlannedColumn("table1", "Table I", "svhn", CELLS, 5, 3, "paper"),
    PlannedColumn("table2", "Table II", "cifar10", CELLS, 5, 3, "paper"),
    PlannedColumn("readings", "A study", "study", CELLS, 1, 3, "readings"),
]


def shown(folder: Path) -> list[tuple[str, str, bool]]:
    return [(c.experiment, c.name, c.summary is not None) for c in columns_of(find_groups(folder), PLANS)]


def test_what_was_not_run_is_shown_where_the_report_is_of_the_folder_above(tmp_path: Path) -> None:
    records = tmp_path / "records"
    make_comparison(records / "table1/cifar10", {"plain": 0.0})
    make_comparison(records / "mine/digits", {"plain": 0.0})
    table = [("table1", "cifar10", True), ("table1", "svhn", False)]
    assert shown(records) == [*table, ("table2", "cifar10", False), ("mine", "digits", True)]
    assert shown(records / "table1") == table
    assert shown(records / "table1/cifar10") == table[:1]


def test_a_folder_above_the_report_s_own_is_not_named(tmp_path: Path) -> None:
    make_comparison(tmp_path / "alice/first", {"plain": 0.0})
    assert shown(tmp_path / "alice/first") == [("comparison", "first", True)]
    assert shown(tmp_path / "alice/first/plain-seed0") == [("run", "plain-seed0", True)]


def test_the_plan_gives_the_order(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "table1/cifar10", {"plain": 0.0, "osakd-8nn": 0.1, "osakd-4nn": 0.1}, 1)
    (column,) = columns_of(find_groups(folder), PLANS)
    assert isinstance(column, Column)
    assert [method.label for method in column.methods] == ["osakd-8nn", "plain", "osakd-4nn"]
