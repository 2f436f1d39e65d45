"""The study of the readings: what is chosen by validation, what stands beside it, and who beats label smoothing."""

from pathlib import Path
from typing import Any

import pytest

from osakd.records import METRICS, append, write_config
from osakd.report.aggregate import summarise
from osakd.report.readings import reading_of, readings_text
from osakd.report.rivals import rivals_text
from osakd.report.verdicts import PaperCell
from tests.report.made import CONFIG, make_run


def row(epoch: int, validation: float, test: float) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "validation": {"accuracy": validation, "nll": 2.0 - validation, "ece": epoch / 100},
        "test": {"accuracy": test, "nll": 1.0, "ece": 0.1},
    }


def test_the_epoch_is_chosen_by_validation_alone() -> None:
    found = reading_of([row(1, 0.5, 0.9), row(2, 0.7, 0.6), {"epoch": 3}, row(4, 0.6, 0.8)])
    assert (found.validation, found.validation_nll, found.validation_ece) == (0.7, pytest.approx(1.3), 0.02)
    assert (found.test, found.best_on_test, found.last) == (0.6, 0.9, 0.8)


def test_the_wobble_is_of_the_last_ten_epochs() -> None:
    early = [row(epoch, 0.1, 0.1 * epoch) for epoch in range(1, 6)]
    late = [row(epoch, 0.5, 0.5 + 0.1 * (epoch % 2)) for epoch in range(6, 16)]
    assert reading_of(early + late).std_of_last_epochs == pytest.approx(0.1 * (10 / 36) ** 0.5)


def write_runs(folder: Path, label: str, scores: list[tuple[float, float, float]]) -> list[tuple[str, Path]]:
    """A run of two epochs for each accuracy, NLL and ECE; the first epoch is worse in everything."""
    runs = []
    for seed, (accuracy, nll, ece) in enumerate(scores):
        runs.append((label, folder / f"{label}-seed{seed}"))
        write_config(runs[-1][1], CONFIG)
        for epoch, worse in ((1, 0.1), (2, 0.0)):
            found = {"accuracy": accuracy - worse, "nll": nll + worse, "ece": ece + worse}
            row = {"epoch": epoch, "train": {"total": 1.0}, "validation": found, "test": found}
            append(runs[-1][1] / METRICS, row)
    return runs


def test_a_reading_beats_label_smoothing_in_all_three_or_not(tmp_path: Path) -> None:
    """Paired differences by hand: their means, and half-widths 4.303 s / sqrt(3) of three pairs."""
    rival = write_runs(tmp_path, "label-smoothing", [(0.60, 1.10, 0.05), (0.61, 1.12, 0.06), (0.62, 1.14, 0.07)])
    better = write_runs(tmp_path, "better", [(0.62, 1.00, 0.02), (0.63, 1.01, 0.03), (0.65, 1.02, 0.03)])
    mixed = write_runs(tmp_path, "mixed", [(0.60, 1.00, 0.10), (0.62, 1.01, 0.12), (0.61, 1.05, 0.13)])
    few = write_runs(tmp_path, "few", [(0.70, 0.90, 0.01)])
    runs = [*rival, *better, *mixed, *few]
    rows = [line.split(" | ") for line in rivals_text(runs, (3, 2)).splitlines() if "[" in line]
    assert rows[0] == [
        "| better",
        "3",
        "+2.33 [+0.90, +3.77]",
        "-0.110 [-0.135, -0.085]",
        "-3.33 [-4.77, -1.90]",
        "beats it |",
    ]
    assert [row[0] for row in rows] == ["| better", "| mixed"]
    assert rows[1][-1] == "better NLL; worse ECE |"
    assert rivals_text([*better, *mixed], (3, 2)) == ""
    assert rivals_text(runs, (5, 4)).splitlines()[4].startswith("| better | 3 (3 of 5 seeds, 3 of 4 epochs) | ")


def test_seeds_that_chose_the_cells_are_left_out_of_a_second_table(tmp_path: Path) -> None:
    """The first seed alone speaks for the cell; without it there is nothing left of the gain."""
    rival = write_runs(tmp_path, "label-smoothing", [(0.60, 1.0, 0.1)] * 4)
    lucky = write_runs(tmp_path, "lucky", [(0.70, 1.0, 0.1), *[(0.60, 1.0, 0.1)] * 3])
    whole, rest = rivals_text([*rival, *lucky], (5, 2), chose=(0,)).split("\n\nAgainst ")
    assert "| lucky | 4 (4 of 5 seeds) | +2.50 [" in whole
    assert rest.startswith("label-smoothing, without the seeds that chose the cells (0), at the epoch")
    assert "| lucky | 3 (3 of 4 seeds) | +0.00 [+0.00, +0.00] |" in rest


def test_cells_with_fewer_seeds_stand_below(tmp_path: Path) -> None:
    """The seeds that they lack may be better or worse than those that they have."""
    places = {"one-seed0": 0.7, "two-seed0": 0.6, "two-seed1": 0.6}
    runs = [(name[:3], make_run(tmp_path / name, [0.5, one], validation=0.1)) for name, one in places.items()]
    text = readings_text(summarise("x", runs), runs, [], wanted=(2, 2))
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")][2:] == ["| two", "| one"]


def test_each_reading_is_compared_with_its_own_baseline(tmp_path: Path) -> None:
    """And what is smaller, made of fewer pairs, or missing is said; seeds to spare make up for nothing."""
    accuracies = {"plain": [0.60, 0.60, 0.60], "plain-batch=32": [0.70], "batch=32": [0.71, 0.72], "k=4": []}
    runs = []
    for label, ones in accuracies.items():
        for seed, one in enumerate(ones):
            runs.append((label, make_run(tmp_path / f"{label}-seed{seed}", [one - 0.1, one], validation=0.1)))
    cells = [
        PaperCell(label, None, baseline="plain-batch=32" if label == "batch=32" else "plain") for label in accuracies
    ]
    summary = summarise("study", runs, {cell.label: cell.baseline for cell in cells})
    text = readings_text(summary, runs, cells, wanted=(2, 60))
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in text.splitlines()}
    assert rows["batch=32"][0] == "2 (2 of 60 epochs)"
    assert rows["batch=32"][2] == "+1.00 (1 pair)"
    assert rows["plain-batch=32"][0] == "1 (1 of 2 seeds, 2 of 60 epochs)"
    assert rows["plain"][2] == "-"
    assert rows["plain"][-1].endswith("(of 2) |")
    assert "Differences not to plain: batch=32 to plain-batch=32." in text
    assert text.endswith("Missing: 3 of 8 runs.")
