"""A study over settings: gains with last and averaged weights, tuned smoothing, worst settings, Holm's correction."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from osakd.durable import append
from osakd.plan import TUNED, Cell, Column, Experiment
from osakd.records import METRICS, Result, read_run, write_config, write_result
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.runs import run_record
from osakd.report.statistics.spread import Difference, holm, paired_difference
from osakd.report.statistics.study import Study, setting_of
from osakd.report.tables.weights import contrast_tables, overall_table, weights_table
from osakd.report.text import column_text, study_texts
from tests.report.made import CONFIG, ENVIRONMENT

LABELS = ("plain", "label-smoothing", "label-smoothing=0.3", "osakd-bayes")
# Test accuracies with last and averaged weights, and validation accuracies, of seeds 0, 1 and 2.
SEEDS = (0.0, 0.002, 0.004)


def scores(accuracy: float) -> dict[str, float]:
    return {"accuracy": accuracy, "nll": 2 - accuracy, "ece": 0.1}


def make(folder: Path, label: str, seed: int, test: float, averaged: float, validation: float) -> None:
    run = folder / f"{label}-seed{seed}"
    smoothing = {"method": "label-smoothing", "settings": {"smoothing": float(label.partition("=")[2] or 0.1)}}
    own = smoothing if label.startswith("label") else {"method": "plain", "settings": {}}
    write_config(run, replace(CONFIG, **own, seed=seed, epochs=1, validation=0.1, ema=0.9))
    row: dict[str, Any] = {"epoch": 1, "learning_rate": 0.1, "seconds": 1.0, "train": {"total": 1.0}}
    row |= {"test": scores(test), "validation": scores(validation)}
    row["others"] = {"averaged": {"test": scores(averaged), "validation": scores(validation + 0.01)}}
    append(run / METRICS, row)
    chosen = {"accuracy": test, "validation_accuracy": validation, "epoch": 1}
    write_result(run, Result(1, row, {"accuracy": test, "epoch": 1}, chosen, 1.0, ENVIRONMENT, [], None))


def column(folder: Path, name: str, gains: dict[str, float]) -> RecordedColumn:
    cells = tuple(Cell(label, label) for label in LABELS)
    contrasts = {"osakd-bayes": ("plain", TUNED, "label-smoothing=0.3", "ps-kd")}
    plan = Column(name, "cifar10", 1, cells, seeds=3, contrasts=contrasts)
    experiment = Experiment("made", "A made study", (plan,), "settings")
    for label, gain in gains.items():
        for seed, own in enumerate(SEEDS):
            last = 0.5 + own + gain * (1 + own)
            make(folder / name, label, seed, last, last + 0.02, 0.5 + own - (gain if "0.3" in label else 0))
    runs = tuple(run_record(one, read_run(one)) for one in sorted((folder / name).iterdir()))
    return RecordedColumn("made", name, runs, experiment, plan)


@pytest.fixture
def columns(tmp_path: Path) -> list[RecordedColumn]:
    one = {"plain": 0.0, "label-smoothing": 0.01, "label-smoothing=0.3": 0.02, "osakd-bayes": 0.03}
    return [column(tmp_path, "one", one), column(tmp_path, "two", one | {"osakd-bayes": -0.01})]


def test_smoothing_is_tuned_by_validation(columns: list[RecordedColumn]) -> None:
    """The stronger one is better on the test images, but not on those held out."""
    setting = setting_of(columns[0])
    tuned = setting.smoothing(averaged=False)
    assert tuned is not None
    assert tuned.name == "label-smoothing"
    assert setting.seeds == 3


def test_gains_and_the_worst_setting(columns: list[RecordedColumn]) -> None:
    study = Study(columns)
    ours = next(row for row in study.overall("plain") if row.name == "osakd-bayes")
    assert ours.gains["one"].mean == pytest.approx(0.03 * 1.002)
    assert ours.mean == pytest.approx(0.01 * 1.002)
    assert ours.worst[0] == "two"
    assert not ours.harmless
    smoothed = next(row for row in study.overall("plain") if row.name == "label-smoothing, averaged")
    assert smoothed.harmless
    against = next(row for row in study.overall("label-smoothing") if row.name == "osakd-bayes")
    assert against.gains["one"].mean == pytest.approx(0.02 * 1.002)
    assert next(row.name for row in study.overall("plain")) == "label-smoothing"  # plain is not compared with itself


def test_p_values_are_scipy_s_and_holm_corrects_them(columns: list[RecordedColumn]) -> None:
    ours, theirs = [0.5, 0.52, 0.55, 0.51], [0.49, 0.5, 0.5, 0.52]
    assert paired_difference(ours, theirs).p_value == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert Difference(1, 0.5, None, None).p_value == 1
    assert holm([]) == []
    rows = Study(columns).contrasts()
    # Each with last and with averaged weights; PS-KD has no runs.
    rivals = ["plain", "tuned label smoothing", "label-smoothing=0.3"]
    assert [row.rival for row in rows] == [*rivals, *(f"{rival}, averaged" for rival in rivals)]
    raw = [gain.p_value for row in rows for gain in row.accuracy.values()]
    adjusted = [p for row in rows for p in row.adjusted.values()]
    assert len(raw) == 12  # in two settings
    assert adjusted == pytest.approx(holm(raw))
    assert all(one >= p for one, p in zip(adjusted, raw, strict=True))


def test_contrasts_with_a_column_for_each_setting(columns: list[RecordedColumn]) -> None:
    accuracy, nll = contrast_tables(Study(columns))
    assert accuracy.head == ["method", "against", "one", "two"]
    name, rival, one, two = accuracy.cells[0]
    assert (name, rival) == ("osakd-bayes", "plain")
    assert one.startswith("+3.01 [")
    assert one.endswith("]*")
    assert two.startswith("-1.00 [")
    assert nll.cells[0][2].startswith("-0.030 [")
    assert nll.cells[1][2].startswith("-0.020 [")  # against the smoothing of 0.1, the better one by validation
    assert nll.cells[2][2].startswith("-0.010 [")  # against the smoothing of 0.3, which is not tuned
    assert contrast_tables(Study(columns[:1]))[0].head == ["method", "against", "one"]
    runs = tuple(run for run in columns[0].runs if run.seed != 2)
    two_seeds = RecordedColumn(columns[0].place, "one", runs, columns[0].experiment, columns[0].plan)
    assert Study([two_seeds]).overall("plain")
    assert Study([two_seeds]).contrasts() == []  # two seeds decide nothing


def test_the_tables(columns: list[RecordedColumn]) -> None:
    table = weights_table(columns[0])
    assert [row[0] for row in table.cells] == list(LABELS)
    assert table.cells[0][:4] == ["plain", "3", "50.20 ± 0.20", "-"]
    assert table.cells[3][7].startswith("+3.01 [") or table.cells[3][7].startswith("+3.00 [")
    assert "Tuned label smoothing, the best by validation: label-smoothing (last weights)" in table.note
    before, after = study_texts(columns)
    assert before.startswith("- On one, take ")
    assert overall_table(Study(columns)).title in before
    assert all(table.title in after for table in contrast_tables(Study(columns)))
    assert study_texts([]) == ("", "")
    assert "| osakd-bayes | 3 |" in column_text(columns[0], "settings")
