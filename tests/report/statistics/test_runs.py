"""A run as a report sees it: what became of it, and its learning curve in arrays that lose nothing."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from osakd.report.statistics.runs import FinishedRun, compact

from osakd.records import METRICS, RESULT, read_metrics, write_error
from osakd.report.statistics.trends import RELIABILITY
from tests.report.made import make_run, read, row

RECORDS = Path(__file__).parents[3] / "records"


@pytest.mark.parametrize("name", ["comparison/cifar10-resnet8/one-seed0", "readings/study/k=4-seed0"])
def test_a_curve_has_every_score_of_its_rows(name: str) -> None:
    """Against the rows, one by one, with another output's and with validation scores."""
    rows = read_metrics(RECORDS / name)
    curve = compact(rows)
    assert curve.epoch == rows[-1]["epoch"]
    for part in ("test", "validation"):
        for key in ("accuracy", "nll", "ece"):
            expected = [(row["epoch"], row[part][key]) for row in rows if part in row]
            assert list(zip(*curve.get(f"{part}.{key}"), strict=True)) == expected
    expected = [(row["epoch"], row["train"]["soft_label_mass"]) for row in rows if "soft_label_mass" in row["train"]]
    assert list(zip(*curve.get("train.soft_label_mass"), strict=True)) == expected
    for label in rows[-1].get("others", {}):
        expected = [(row["epoch"], row["others"][label]["test"]["nll"]) for row in rows if "others" in row]
        assert list(zip(*curve.get(f"others.{label}.test.nll"), strict=True)) == expected
        assert expected


def test_the_reliability_is_shown_where_it_was_recorded() -> None:
    rows: list[dict[str, Any]] = [row(epoch, 0.5, soft=True, validated=False) for epoch in (1, 2)]
    assert "train.soft_label_reliability" not in compact(rows).series
    for one in rows:
        one["train"]["soft_label_reliability"] = 0.3 * one["epoch"]
    assert list(compact(rows).get(RELIABILITY.name).values) == [0.3, 0.6]
    assert compact(rows).get("train.soft_label_mass").values


def test_a_curve_takes_eight_bytes_for_each_number(tmp_path: Path) -> None:
    run = read(make_run(tmp_path / "osakd-8nn-seed0", [0.5] * 400))
    assert sum(sys.getsizeof(one.values) for one in run.curve.series.values()) < 6 * (8 * 400 + 200)
    assert {type(one.epochs) for one in run.curve.series.values()} == {range}


def test_what_became_of_a_run(tmp_path: Path) -> None:
    make_run(tmp_path / "a-seed0", [0.5])
    make_run(tmp_path / "b-seed1", [0.5, 0.6], finished=False, epochs=9)
    write_error(tmp_path / "c-seed2", "The disk is full.")
    (make_run(tmp_path / "d-seed3", [0.5]) / "config.json").unlink()
    words = [read(tmp_path / name).state_in_words for name in ("a-seed0", "b-seed1", "c-seed2")]
    assert words == ["finished", "unfinished: epoch 2 of 9", "failed: The disk is full."]
    alone = read(tmp_path / "d-seed3")
    assert (alone.state, alone.seed, isinstance(alone, FinishedRun)) == ("damaged", 3, False)
    assert alone.error is not None
    assert "d-seed3' has no config.json: move the run folder away and run again." in alone.error


def test_another_output_without_scores_is_damage(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "one-seed0", [0.5])
    rows: list[dict[str, Any]] = read_metrics(folder)
    rows[-1]["others"] = {"branch2": {"test": {"accuracy": 0.5}}}
    (folder / METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = read(folder)
    assert run.state == "damaged"
    assert (folder / RESULT).exists()
