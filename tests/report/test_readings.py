"""The study of the readings: what is chosen by validation, and what stands beside it."""

from typing import Any

import pytest

from osakd.report.readings import reading_of


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
    assert reading_of(early + late).wobble == pytest.approx(0.1 * (10 / 36) ** 0.5)
