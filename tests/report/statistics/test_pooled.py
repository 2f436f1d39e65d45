"""Which runs belong together: a shorter run is no repetition of a longer one."""

from pathlib import Path

from osakd.api.reports import recorded_columns
from osakd.plan import Column
from osakd.records import read_result, write_result
from osakd.report.statistics.aggregate import summarise
from osakd.report.statistics.pooled import left_out, pooled, smaller
from osakd.report.statistics.runs import RunRecord
from osakd.report.tables.scores import score_table
from osakd.report.tables.values import values_csv
from tests.report.made import make_run, read


def made(folder: Path, lengths: dict[str, list[int]]) -> list[RunRecord]:
    """Runs of so many epochs, one for each seed."""
    return [
        read(make_run(folder / f"{label}-seed{seed}", [0.5] * epochs))
        for label, ones in lengths.items()
        for seed, epochs in enumerate(ones)
    ]


def test_only_the_longest_runs_of_a_label_are_pooled(tmp_path: Path) -> None:
    """A method with stages has fewer epochs than others, and keeps them."""
    runs = made(tmp_path, {"plain": [2, 4, 4, 2, 1], "srdl": [2, 2]})
    assert [run.folder.name for run in pooled(runs)] == ["plain-seed1", "plain-seed2", "srdl-seed0", "srdl-seed1"]
    assert left_out(runs) == [
        "2 runs of another length (2 epochs) are left out: plain-seed0, plain-seed3",
        "1 run of another length (1 epoch) is left out: plain-seed4",
    ]
    (longest, _, *_) = pooled(runs)
    assert (longest.seed, longest.curve.epoch, longest.config.fraction) == (1, 4, 1.0)


def test_a_summary_is_of_the_pooled_runs_and_names_the_others(tmp_path: Path) -> None:
    runs = made(tmp_path, {"plain": [2, 4, 4]})
    runs.append(read(make_run(tmp_path / "plain-seed3", [0.5] * 9, finished=False)))
    summary = summarise("x", runs)
    assert summary.methods[0].seeds == [1, 2]
    assert summary.methods[0].trained == summary.epochs == 4
    assert summary.notes == ["1 run of another length (2 epochs) is left out: plain-seed0"]
    (column,) = recorded_columns(tmp_path)
    assert [run.folder.name for run in column.pooled] == ["plain-seed1", "plain-seed2"]
    assert values_csv([column]).count("seconds") == 2


def test_a_seed_that_is_recorded_twice_counts_once(tmp_path: Path) -> None:
    """As where ``osakd train`` and ``osakd compare`` made the same run in one folder."""
    make_run(tmp_path / "plain-seed0", [0.5])
    make_run(tmp_path / "cifar10-lenet-plain-seed0", [0.5], seed=0)
    (column,) = recorded_columns(tmp_path)
    assert [(method.label, method.seeds) for method in column.methods] == [("plain", [0])]


def test_steps_are_compared_only_where_each_run_was_alone_with_the_same_batch(tmp_path: Path) -> None:
    """A program's time divided among its runs says nothing of each."""
    made(tmp_path, {"plain": [2], "osakd-8nn": [2]})
    make_run(tmp_path / "osakd-4nn-seed0", [0.5, 0.6], batch_size=32)
    fused = make_run(tmp_path / "osakd-16nn-seed0", [0.5, 0.6])
    result = read_result(fused)
    assert result is not None
    result.environment["executor"] = "fused/channels (2 replicas)"
    write_result(fused, result)
    table = score_table(recorded_columns(tmp_path)[0])
    at = table.head.index("x plain")
    assert {row[0]: row[at] for row in table.cells} == {
        "plain": "1.00",
        "osakd-8nn": "1.00",
        "osakd-4nn": "-",
        "osakd-16nn": "-",
    }
    assert {row[at - 1] for row in table.cells} == {"2.5"}
    assert "a training step, its share where several runs share a program" in table.note


def test_a_planned_share_of_the_images_is_not_smaller_than_planned() -> None:
    planned_share = Column("a", "a", 100, (), options={"fraction": 0.1})
    assert smaller(planned_share, 5, 100, 0.1) == ""
    assert smaller(planned_share, 5, 100, 0.05) == "5 % of the images"
