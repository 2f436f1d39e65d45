"""How a quantity changes over the epochs: mean and standard deviation over the seeds of each method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from osakd.runs import Curve


@dataclass(frozen=True)
class Quantity:
    """What is drawn.

    Attributes:
        factor: factor from what is recorded to that unit.
        steep: where its first epochs lie, which would flatten everything that is compared; empty for nowhere.
        most: largest value that it can have, in that unit.
    """

    name: str
    title: str
    unit: str
    factor: float
    decimals: int
    steep: Literal["", "below", "above"] = ""
    most: float | None = None


ACCURACY = Quantity("test.accuracy", "Test accuracy", "%", 100, 2, steep="below", most=100)
NLL = Quantity("test.nll", "Negative log-likelihood, test set", "nats", 1, 3, steep="above")
ECE = Quantity("test.ece", "Expected calibration error, test set", "%", 100, 2, most=100)
MASS = Quantity("train.soft_label_mass", "Soft labels: mass on the true class", "%", 100, 1, most=100)
ENTROPY = Quantity("train.soft_label_entropy", "Soft labels: entropy", "nats", 1, 3)
AGREEMENT = Quantity("train.soft_label_agreement", "Soft labels: agreement with the class", "%", 100, 1, most=100)
RELIABILITY = Quantity("train.soft_label_reliability", "Soft labels: reliability", "%", 100, 1, most=100)
SHARE = Quantity("train.soft_share", "Soft labels: share of the loss", "%", 100, 2, most=100)
SOFT_LABELS = (MASS, ENTROPY, AGREEMENT, RELIABILITY, SHARE)


MOST_BANDS = 6
"""Bands of more methods would hide their lines."""


@dataclass(frozen=True)
class Trend:
    """A method's quantity over the epochs, in its unit; ``std`` is None for a single seed."""

    label: str
    n: int
    epochs: list[int]
    mean: list[float]
    std: list[float] | None

    @property
    def band(self) -> tuple[list[float], list[float]]:
        """The mean minus and plus one standard deviation; the mean itself for a single seed."""
        std = self.std or [0.0] * len(self.mean)
        pairs = list(zip(self.mean, std, strict=True))
        return [mean - half for mean, half in pairs], [mean + half for mean, half in pairs]


def trends(curves: Mapping[str, Sequence[Curve]], quantity: Quantity) -> list[Trend]:
    """The trend of each method that has recorded a quantity, in the order of ``curves``, which has each seed's.

    Runs of a method that are not equally long are cut to the shortest.
    """
    shown = []
    for label, of_label in curves.items():
        series = [curve.get(quantity.name) for curve in of_label]
        length = min(len(values) for _, values in series)
        values = quantity.factor * np.array([values[:length] for _, values in series])
        known = np.isfinite(values).all(axis=0)
        if not known.any():
            continue
        values, epochs = values[:, known], np.array(series[0].epochs[:length])[known].tolist()
        std = values.std(axis=0, ddof=1).tolist() if len(series) > 1 else None
        shown.append(Trend(label, len(series), epochs, values.mean(axis=0).tolist(), std))
    return shown


def limits(shown: Sequence[Trend], quantity: Quantity) -> tuple[float, float]:
    """Of the vertical axis: everything, but of a steep beginning what the last third of the epochs reaches."""

    def of(side: int, steep: bool) -> list[float]:
        return [value for trend in shown for value in trend.band[side][2 * len(trend.mean) // 3 if steep else 0 :]]

    low, high = min(of(0, quantity.steep == "below")), max(of(1, quantity.steep == "above"))
    differ = high - low > 1e-9 * abs(high)  # a constant may differ from itself by rounding
    room = 0.06 * (high - low) if differ else 0.01 * abs(high) or 1.0
    return max(0.0, low - room), min(high + room, quantity.most or high + room)
