"""The claims: what holds, what does not, what three seeds do not decide, what was not run."""

from typing import Any

import pytest

from osakd.report.claims import claims, drop, std_of_last_epochs
from osakd.report.pooled import Curve


def run(*accuracies: float, mass: tuple[float, float] = (0.2, 0.6), fraction: float = 1.0) -> Curve:
    """A curve; the soft labels' mass in the first and in the last epoch."""
    rows = [{"test": {"accuracy": value}, "train": {"soft_label_mass": mass[0]}} for value in accuracies]
    rows[-1]["train"] = {"soft_label_mass": mass[1]}
    return Curve(rows, len(rows), fraction)


def verdicts(runs: dict[str, dict[int, Any]], gain: float, wanted: tuple[int, int] = (3, 3)) -> dict[str, str]:
    return {row[0]: row[3] for row in claims({"cifar10": runs}, {"cifar10": gain}, {"cifar10": wanted})}


def noisy(*accuracies: float) -> dict[int, Any]:
    return {seed: run(*(value + 0.001 * seed for value in accuracies)) for seed in range(3)}


def test_a_gain_that_is_reached_missed_or_not_told_apart() -> None:
    runs = {"plain": noisy(0.5, 0.60, 0.55), "osakd-8nn": noisy(0.5, 0.61, 0.61)}
    runs["osakd-8nn"][0] = run(0.5, 0.612, 0.611)
    assert verdicts(runs, 1.0)["OSAKD-8NN gains +1.00 at the best epoch"] == "holds"
    assert verdicts(runs, 2.0)["OSAKD-8NN gains +2.00 at the best epoch"] == "does not hold"
    runs["osakd-8nn"][1] = run(0.5, 0.57, 0.57)
    assert verdicts(runs, 2.0)["OSAKD-8NN gains +2.00 at the best epoch"] == "not told apart"


def test_stability_and_what_is_not_in_the_records() -> None:
    runs = {"plain": noisy(0.5, 0.60, 0.55), "osakd-8nn": noisy(0.6, 0.61, 0.61)}
    runs["osakd-8nn"][0] = run(0.6, 0.612, 0.611)
    found = verdicts(runs, 2.0)
    assert found["more stable: best minus last epoch, plain - OSAKD"] == "holds"
    assert found["more stable: std of the last 3 epochs, plain - OSAKD"] == "holds"
    assert found["labels grow reliable: true-class mass, last - first epoch"] == "holds"
    assert found["ours: more than label smoothing, best epoch"] == "not tested"
    assert claims({"svhn": {}}, {"svhn": 0.9}, {}) == [["every claim on its runs", "svhn", "-", "not tested"]]
    del runs["plain"][2]
    assert verdicts(runs, 2.0)["OSAKD-8NN gains +2.00 at the best epoch"] == "not tested (2 of 3 seeds)"


def test_what_is_smaller_and_whose_question_it_is_is_said() -> None:
    runs = {"plain": noisy(0.5, 0.60, 0.55), "osakd-8nn": noisy(0.5, 0.60, 0.55)}
    found = verdicts(runs, 0.0, (5, 100))
    assert found["ours: OSAKD-8NN gains at the last epoch"] == "no difference (3 of 5 seeds, 3 of 100 epochs)"
    runs["plain"][0] = run(0.5, 0.60, 0.55, fraction=0.1)
    assert verdicts(runs, 0.0)["ours: OSAKD-8NN gains at the last epoch"] == "no difference (10 % of the images)"


def test_stability_over_ten_epochs_says_ten() -> None:
    runs = {label: noisy(*[0.5] * 12) for label in ("plain", "osakd-8nn")}
    assert "more stable: std of the last 10 epochs, plain - OSAKD" in verdicts(runs, 0.0)


def test_wobble_and_drop() -> None:
    rows = run(*[0.1, 0.9], *[0.5, 0.6] * 5).rows
    assert std_of_last_epochs(rows) == pytest.approx(0.1 * (10 / 36) ** 0.5)
    assert drop(rows) == pytest.approx(0.3)
