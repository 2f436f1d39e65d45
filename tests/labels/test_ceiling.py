import numpy as np
import pytest

from osakd import soft_label_ceiling
from osakd.errors import InputError
from osakd.labels.ceiling import ceiling_note


@pytest.mark.parametrize(
    ("batch", "num_classes", "k", "expected"),
    [
        (64, 10, 8, 0.74),
        (64, 10, 16, 0.39),
        (128, 10, 8, 0.99),
        (128, 10, 16, 0.77),
        (64, 200, 8, 0.04),
        (64, 200, 16, 0.02),
    ],
)
def test_known_values(batch: int, num_classes: int, k: int, expected: float) -> None:
    assert round(soft_label_ceiling(batch, [1 / num_classes] * num_classes, k, include_self=False), 2) == expected


@pytest.mark.parametrize("include_self", [False, True])
def test_equals_a_simulation_of_a_perfect_embedding(include_self: bool) -> None:
    rng = np.random.default_rng(0)
    shares, batch, k = np.array([0.6, 0.3, 0.1]), 12, 5
    masses = []
    for _ in range(20_000):
        target = rng.choice(3, size=batch, p=shares)
        same = (target == target[0]).sum() - 1 + include_self
        masses.append(min(k, same) / k)
    standard_error = np.std(masses) / len(masses) ** 0.5
    assert abs(soft_label_ceiling(batch, shares, k, include_self=include_self) - np.mean(masses)) < 4 * standard_error


def test_edges() -> None:
    assert soft_label_ceiling(10, [5, 0], 9, include_self=False) == 1.0  # one class only
    assert soft_label_ceiling(100_000, [1] * 10, 16) == pytest.approx(1.0)  # no overflow
    assert soft_label_ceiling(2, [1, 1], 1, include_self=False) == pytest.approx(0.5)
    assert soft_label_ceiling(2, [1, 1], 1) == 1.0  # itself


@pytest.mark.parametrize(
    ("batch", "frequencies", "k", "message"),
    [
        (1, [1.0], 1, "`batch_size` must be at least 2, got 1"),
        (8, [0.5, 0.5], 8, "`k` must be between 1 and 7 for a batch of 8, got 8"),
        (8, [0.5, 0.5], 0, "`k` must be between 1 and 7"),
        (8, [0.0, 0.0], 1, "`class_frequencies` must be non-negative and not all zero"),
        (8, [-1.0, 2.0], 1, "`class_frequencies` must be non-negative"),
    ],
)
def test_values_out_of_range(batch: int, frequencies: list[float], k: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        soft_label_ceiling(batch, frequencies, k, include_self=False)


def test_a_note_counts_the_prior_and_says_of_which_labels_it_is() -> None:
    """The ceiling of 4 neighbours in a batch of 64, with a tenth of a neighbour for each of ten classes."""
    without = soft_label_ceiling(64, [1] * 10, 4, include_self=False)
    note = ceiling_note(64, [500] * 10, 4, include_self=False, pseudo_count=0.1)
    assert (
        f"k = 4 and pseudo-count 0.1 can give the true class {(4 * without + 0.1) / 5:.2f} on average at most" in note
    )
    assert "k = 8, the sample itself among them, can give the true class 0.83" in ceiling_note(
        64, [500] * 10, 8, include_self=True
    )


def test_a_low_ceiling_warns_and_names_the_remedies() -> None:
    assert ceiling_note(64, [500] * 10, 8, include_self=False).startswith("Note: ")
    low = ceiling_note(64, [500] * 200, 8, include_self=False)
    assert low.startswith("Warning: ")
    for word in ("0.04", "larger batch", "smaller k", "queue"):
        assert word in low
