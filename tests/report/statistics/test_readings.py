"""The study of the readings: what is chosen by validation, what stands beside it, and what beats label smoothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from osakd.durable import append, write_json
from osakd.plan import Cell
from osakd.records import METRICS, RESULT, write_config
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import NO_DIFFERENCE
from osakd.report.statistics.readings import reading_of
from osakd.report.statistics.runs import RunRecord, compact
from osakd.report.text import column_text
from tests.report.made import CONFIG, ENVIRONMENT, column_of, make_run, planned, read


def row(epoch: int, validation: float, test: float) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "validation": {"accuracy": validation, "nll": 2.0 - validation, "ece": epoch / 100},
        "test": {"accuracy": test, "nll": 1.0, "ece": 0.1},
    }


def test_the_epoch_is_chosen_by_validation_alone() -> None:
    found = reading_of(compact([row(1, 0.5, 0.9), row(2, 0.7, 0.6), {"epoch": 3}, row(4, 0.6, 0.8)]))
    assert (found.validation, found.validation_nll, found.validation_ece) == (0.7, pytest.approx(1.3), 0.02)
    assert (found.test, found.best_on_test, found.last) == (0.6, 0.9, 0.8)


def test_the_standard_deviation_is_of_the_last_ten_epochs() -> None:
    early = [row(epoch, 0.1, 0.1 * epoch) for epoch in range(1, 6)]
    late = [row(epoch, 0.5, 0.5 + 0.1 * (epoch % 2)) for epoch in range(6, 16)]
    assert reading_of(compact(early + late)).std_of_last_epochs == pytest.approx(0.1 * (10 / 36) ** 0.5)


def write_runs(folder: Path, label: str, scores: list[tuple[float, float, float]]) -> list[RunRecord]:
    """A run of two epochs for each accuracy, NLL and ECE; the first epoch is worse in everything."""
    runs = []
    for seed, (accuracy, nll, ece) in enumerate(scores):
        place = folder / f"{label}-seed{seed}"
        write_config(place, CONFIG.__class__(**(vars(CONFIG) | {"seed": seed, "epochs": 2, "validation": 0.1})))
        for epoch, worse in ((1, 0.1), (2, 0.0)):
            found = {"accuracy": accuracy - worse, "nll": nll + worse, "ece": ece + worse}
            last = {"epoch": epoch, "train": {"total": 1.0}, "validation": found, "test": found}
            append(place / METRICS, last)
        best = {"accuracy": accuracy, "epoch": 2}
        chosen = best | {"validation_accuracy": accuracy}
        result = {"epochs": 2, "last": last, "best_on_test": best, "chosen_on_validation": chosen, "seconds": 1.0}
        write_json(place / RESULT, result | {"environment": ENVIRONMENT})
        runs.append(read(place))
    return runs


def study(runs: list[RunRecord], seeds: int, epochs: int, cells: Sequence[Cell] = (), **more: Any) -> RecordedColumn:
    return column_of(runs, planned("study", cells, seeds=seeds, epochs=epochs, view="readings", **more))


def text(column: RecordedColumn) -> str:
    return column_text(column, "readings")


def against(column: RecordedColumn) -> str:
    """What stands below the first table: the tables against rivals."""
    return text(column).partition("Validation scores against ")[2]


def test_a_reading_beats_label_smoothing_in_all_three_or_not(tmp_path: Path) -> None:
    """Paired differences by hand: their means, and half-widths 4.303 s / sqrt(3) of three pairs."""
    rival = write_runs(tmp_path, "label-smoothing", [(0.60, 1.10, 0.05), (0.61, 1.12, 0.06), (0.62, 1.14, 0.07)])
    better = write_runs(tmp_path, "better", [(0.62, 1.00, 0.02), (0.63, 1.01, 0.03), (0.65, 1.02, 0.03)])
    mixed = write_runs(tmp_path, "mixed", [(0.60, 1.00, 0.10), (0.62, 1.01, 0.12), (0.61, 1.05, 0.13)])
    few = write_runs(tmp_path, "few", [(0.70, 0.90, 0.01)])
    runs = [*rival, *better, *mixed, *few]
    rows = [line.split(" | ") for line in against(study(runs, 3, 2)).splitlines() if "[" in line]
    assert rows[0] == [
        "| better",
        "3",
        "+2.33 [+0.90, +3.77]",
        "-0.110 [-0.135, -0.085]",
        "-3.33 [-4.77, -1.90]",
        "better in all three |",
    ]
    assert [row[0] for row in rows] == ["| better", "| mixed"]
    assert rows[1][-1] == "better NLL; worse ECE |"
    assert against(study([*better, *mixed], 3, 2)) == ""
    assert "| better | 3 (3 of 5 seeds, 2 of 4 epochs) | " in against(study(runs, 5, 4))


def test_seeds_that_chose_the_cells_are_left_out_of_a_second_verdict(tmp_path: Path) -> None:
    """The first seed alone speaks for the cell; without it there is nothing left of the gain."""
    rival = write_runs(tmp_path, "label-smoothing", [(0.60, 1.0, 0.1)] * 4)
    lucky = write_runs(tmp_path, "lucky", [(0.70, 1.0, 0.1), *[(0.60, 1.0, 0.1)] * 3])
    column = study([*rival, *lucky], 5, 2, chose=(0,))
    table = against(column)
    assert "| lucky | 4 (4 of 5 seeds) | +2.50 [" in table
    assert " | without seeds 0, which chose the cells |" in table
    assert table.endswith(f"| n = 3 (3 of 4 seeds): +0.00 [+0.00, +0.00]; {NO_DIFFERENCE} |")


def test_cells_with_fewer_seeds_stand_below(tmp_path: Path) -> None:
    """The seeds that they lack may be better or worse than those that they have."""
    places = {"one-seed0": 0.7, "two-seed0": 0.6, "two-seed1": 0.6}
    runs = [read(make_run(tmp_path / name, [0.5, one], validation=0.1)) for name, one in places.items()]
    lines = [line for line in text(study(runs, 2, 2)).splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines][2:] == ["| two", "| one"]


def test_each_reading_is_compared_with_its_own_baseline(tmp_path: Path) -> None:
    """And what is smaller, made of fewer pairs, or missing is said; seeds to spare make up for nothing."""
    accuracies = {"plain": [0.60, 0.60, 0.60], "plain-batch=32": [0.70], "batch=32": [0.71, 0.72], "k=4": []}
    runs = [
        read(make_run(tmp_path / f"{label}-seed{seed}", [one - 0.1, one], validation=0.1))
        for label, ones in accuracies.items()
        for seed, one in enumerate(ones)
    ]
    cells = [
        Cell(label, "plain", baseline="plain-batch=32" if label == "batch=32" else "plain") for label in accuracies
    ]
    shown = text(study(runs, 2, 60, cells))
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in shown.splitlines()}
    assert rows["batch=32"][0] == "2 (2 of 60 epochs)"
    assert rows["batch=32"][2] == "+1.00 (1 pair)"
    assert rows["plain-batch=32"][0] == "1 (1 of 2 seeds, 2 of 60 epochs)"
    assert rows["plain"][2] == "-"
    assert rows["plain"][-1].endswith("(of 2) |")
    assert "Differences not to plain: batch=32 to plain-batch=32." in shown
    assert shown.endswith("Missing: 3 of 8 runs.")
