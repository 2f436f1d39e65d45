"""What is recommended: validation chooses, the test images must agree, and the simpler method wins a draw."""

from pathlib import Path

import pytest

from osakd.plan import Cell
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.recommendation import recommendations
from tests.report.made import column_of, make_comparison, planned, read
from tests.report.statistics.test_study import SEEDS, make


def study(folder: Path, gains: dict[str, float], validation: dict[str, float], ema: float = 0.02) -> RecordedColumn:
    """A column whose gains over plain training are given: on the test images, on those held out, by averaging."""
    for label, gain in gains.items():
        for seed, own in enumerate(SEEDS):
            test = 0.5 + own + gain * (1 + own)
            make(folder / label, label, seed, test, test + ema, 0.5 + own + validation.get(label, 0.0))
    runs = [read(one) for label in gains for one in sorted((folder / label).iterdir())]
    return column_of(runs, planned("one", [Cell(label, label) for label in gains], epochs=1, view="settings"))


@pytest.mark.parametrize(
    ("gains", "validation", "words"),
    [
        # The best by validation is better on the test images too.
        (
            {"osakd-bayes": 0.05},
            {"osakd-bayes": 0.05},
            ["Take osakd-bayes, averaged", "over label-smoothing"],
        ),
        # It is the best by validation, but not better on the test images: the simpler one is taken.
        (
            {"osakd-bayes": 0.02},
            {"osakd-bayes": 0.05},
            ["Take label-smoothing, averaged", "not shown to be better"],
        ),
        # On the test images something else would be the best, which does not count.
        ({"osakd-bayes": 0.20}, {}, ["Take label-smoothing, averaged"]),
    ],
)
def test_validation_chooses_and_the_test_images_agree(
    tmp_path: Path, gains: dict[str, float], validation: dict[str, float], words: list[str]
) -> None:
    one = study(tmp_path, {"plain": 0.0, "label-smoothing": 0.02} | gains, {"label-smoothing": 0.01} | validation)
    said = recommendations([one])
    assert len(said) == 1
    assert all(word in said[0] for word in words), said[0]


def test_plain_training_is_taken_where_nothing_is_shown_to_be_better(tmp_path: Path) -> None:
    one = study(tmp_path, {"plain": 0.0, "label-smoothing": -0.05}, {"label-smoothing": 0.01}, ema=-0.01)
    (said,) = recommendations([one])
    assert said.startswith("Take plain: 50.20 ± 0.20 % on test at the last epoch, 3 seeds.")
    assert "Nothing is shown to be better: label-smoothing, averaged, the best by validation, has" in said


def test_without_validation_nothing_is_recommended(tmp_path: Path) -> None:
    runs = [read(one) for one in make_comparison(tmp_path, {"plain": 0.0, "osakd-8nn": 0.1}).iterdir()]
    (said,) = recommendations([column_of(runs)])
    assert said.startswith("No method is recommended: no images were held out")
    assert recommendations([]) == []
