"""Which runs a folder holds, and how they belong together."""

import shutil
import tempfile
from pathlib import Path

import pytest

import osakd
from osakd.durable import write_json
from osakd.errors import InputError
from osakd.plan import Experiment, Panel, PanelMethod, Published
from osakd.records import write_error
from osakd.report.layout import find_groups, in_order, read_panels
from tests.conftest import as_ordinary_user
from tests.report.made import make_comparison, make_run


def names(folder: Path) -> list[tuple[str, str, int, list[str]]]:
    return [(g.place, g.name, g.depth, [f"{run.label} {run.seed}" for run in g.runs]) for g in find_groups(folder)]


def test_records_an_experiment_a_column_and_a_run(tmp_path: Path) -> None:
    panel = make_comparison(tmp_path / "records/table1/cifar10", {"plain": 0.0}, 2)
    make_run(panel / "plain-seed0/teacher", [0.3])  # an earlier stage is part of its run
    make_run(tmp_path / "records/readings/study/k=4-seed0", [0.3])
    entries = ["plain 0", "plain 1"]
    assert names(tmp_path / "records") == [
        ("readings", "study", 2, ["k=4 0"]),
        ("table1", "cifar10", 2, entries),
    ]
    assert names(tmp_path / "records/table1") == [("table1", "cifar10", 1, entries)]
    assert names(panel) == [("table1", "cifar10", 0, entries)]
    assert names(panel / "plain-seed1") == [("run", "plain-seed1", 0, ["plain 1"])]


def test_runs_of_train_are_called_by_their_method_and_kept_apart_by_data_and_network(tmp_path: Path) -> None:
    make_run(tmp_path / "cifar10-lenet-plain-seed0", [0.3])
    make_run(tmp_path / "cifar10-lenet-osakd-8nn-seed0", [0.3])
    make_run(tmp_path / "cifar10-resnet8-plain-seed0", [0.3], model="resnet8")
    make_run(tmp_path / "mine", [0.3], seed=7)
    found = {name: entries for _, name, _, entries in names(tmp_path)}
    assert found == {
        f"{tmp_path.name}: cifar10, lenet": ["plain 0", "mine 7", "osakd-8nn 0"],
        f"{tmp_path.name}: cifar10, resnet8": ["plain 0"],
    }


def test_failed_and_unfinished_runs_are_found(tmp_path: Path) -> None:
    make_run(tmp_path / "plain-seed0", [0.3, 0.4], finished=False, epochs=9)
    write_error(tmp_path / "odd=8-seed1", "The disk is full.")
    (tmp_path / "other").mkdir()
    (group,) = find_groups(tmp_path)
    assert [(run.label, run.seed, run.curve.epoch, run.error) for run in group.runs] == [
        ("plain", 0, 2, None),
        ("odd=8", 1, 0, "The disk is full."),
    ]


def test_the_order_is_the_plan_s_else_the_comparison_s_else_ours(tmp_path: Path) -> None:
    labels = ["osakd-16nn", "label-smoothing", "osakd-8nn", "plain"]
    make_comparison(tmp_path, dict.fromkeys(labels, 0.0), 1)
    ours = [run.label for run in find_groups(tmp_path)[0].runs]
    assert ours == ["plain", "osakd-8nn", "osakd-16nn", "label-smoothing"]
    write_json(tmp_path / "summary.json", {"methods": [{"label": one, "predictor": None} for one in labels]})
    runs = find_groups(tmp_path)[0].runs
    assert [run.label for run in runs] == labels
    planned = [run.label for run in in_order(runs, ["label-smoothing", "plain"])]
    assert planned == ["label-smoothing", "plain", "osakd-8nn", "osakd-16nn"]


def test_what_is_no_folder_of_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist: give the folder of a run or of records\.$"):
        find_groups(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="does not hold packed runs"):
        find_groups(tmp_path / "file")
    with pytest.raises(InputError, match=r"holds no runs: give the folder of a run, of a comparison"):
        find_groups(tmp_path)


def test_packed_runs_are_where_their_folders_would_be(tmp_path: Path) -> None:
    column = make_comparison(tmp_path / "records/table1/cifar10", {"plain": 0.0}, 2)
    make_run(tmp_path / "records/readings/study/k=4-seed0", [0.3])
    expected = names(tmp_path / "records")
    for packed in osakd.pack(tmp_path / "records"):
        assert names(tmp_path / "records") == expected  # both count once
        shutil.rmtree(packed.file.with_suffix(""))
    (tmp_path / "records/other.jsonl").write_text('{"text": "of something else"}\n')
    assert names(tmp_path / "records") == expected
    alone = [("table1", "cifar10", 0, ["plain 0", "plain 1"])]
    assert names(column) == names(column.with_suffix(".jsonl")) == alone
    column.with_suffix(".jsonl").write_text("{")
    assert names(tmp_path / "records")[1] == ("table1", "cifar10", 2, ["cifar10.jsonl None"])


def test_a_folder_that_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o311)
        with as_ordinary_user(), pytest.raises(InputError, match=f"No permission to read '{name}'"):
            find_groups(Path(name))


METHODS = (PanelMethod("osakd-8nn", "osakd", Published(62.0, 0.1)), PanelMethod("plain", "plain", Published(60.0, 0.1)))
EXPERIMENTS = [
    Experiment("table1", "Table I", tuple(Panel(name, name, 3, METHODS) for name in ("cifar10", "svhn"))),
    Experiment("table2", "Table II", (Panel("cifar10", "cifar10", 3, METHODS),)),
    Experiment("readings", "A study", (Panel("study", "cifar10", 3, METHODS, 1),), "validation"),
]


def shown(folder: Path) -> list[tuple[str, str, bool]]:
    return [(one.place, one.name, bool(one.finished)) for one in read_panels(folder, EXPERIMENTS)]


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
    (panel,) = read_panels(folder, EXPERIMENTS)
    assert [method.label for method in panel.methods] == ["osakd-8nn", "plain", "osakd-4nn"]
