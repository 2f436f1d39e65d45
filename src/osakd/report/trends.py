"""How a quantity goes over the epochs: mean and standard deviation over the seeds of each method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

Rows = Sequence[dict[str, Any]]
Curves = Mapping[str, Sequence[Rows]]
"""The rows of the learning curves of each method, one for each seed."""


@dataclass(frozen=True)
class Quantity:
    """What is drawn.

    Attributes:
        part: of a row: ``test`` or ``train``.
        key: in that part.
        title: in words.
        unit: of the axis.
        factor: from what is recorded to that unit.
        decimals: that are shown.
        steep: its first epochs would flatten everything that matters.
        most: the largest value that it can take, in that unit.
    """

    part: str
    key: str
    title: str
    unit: str
    factor: float
    decimals: int
    steep: bool = False
    most: float | None = None


ACCURACY = Quantity("test", "accuracy", "Test accuracy", "%", 100, 2, steep=True, most=100)
NLL = Quantity("test", "nll", "Negative log-likelihood, test set", "nats", 1, 3, steep=True)
ECE = Quantity("test", "ece", "Expected calibration error, test set", "%", 100, 2, most=100)
MASS = Quantity("train", "soft_label_mass", "Soft labels: mass on the true class", "%", 100, 1, most=100)
ENTROPY = Quantity("train", "soft_label_entropy", "Soft labels: entropy", "nats", 1, 3)
AGREEMENT = Quantity("train", "soft_label_agreement", "Soft labels: agreement with the class", "%", 100, 1, most=100)
SOFT_LABELS = (MASS, ENTROPY, AGREEMENT)


@dataclass(frozen=True)
class Trend:
    """A method's quantity over the epochs, in its unit; ``std`` is None for a single seed."""

    label: str
    n: int
    epochs: list[int]
    mean: list[float]
    std: list[float] | None


def trends(curves: Curves, quantity: Quantity) -> list[Trend]:
    """The trend of each method that has recorded the quantity, in the order given.

    Runs of a method that are not equally long are cut to the shortest.
    """
    found = []
    for label, runs in curves.items():
        kept = [[row for row in rows if quantity.key in row.get(quantity.part, {})] for rows in runs]
        length = min(map(len, kept))
        if length == 0:
            continue
        by_epoch = [
            [quantity.factor * rows[number][quantity.part][quantity.key] for rows in kept] for number in range(length)
        ]
        found.append(
            Trend(
                label,
                len(kept),
                [row["epoch"] for row in kept[0][:length]],
                [fmean(values) for values in by_epoch],
                [stdev(values) for values in by_epoch] if len(kept) > 1 else None,
            )
        )
    return found
