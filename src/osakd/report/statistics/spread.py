"""Means with their standard deviations, and differences with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

CONFIDENCE = 0.95
FEWEST_SEEDS = 3
"""With fewer seeds nothing is decided: the interval would include almost anything."""


@dataclass(frozen=True)
class Spread:
    """A mean over seeds; the sample standard deviation (n - 1) is None for a single value."""

    n: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class Difference:
    """A mean paired difference and its 95 % interval (paired t), None for a single pair."""

    n: int
    mean: float
    low: float | None
    high: float | None

    @property
    def p_value(self) -> float:
        """The two-sided p-value of the paired t test; 1 where a single pair, or none that differs, decides nothing."""
        if self.low is None or self.high is None:
            return 1.0
        from scipy.special import stdtr, stdtrit

        error = (self.high - self.low) / 2 / float(stdtrit(self.n - 1, (1 + CONFIDENCE) / 2))
        if error == 0:
            return 0.0 if self.mean else 1.0
        return float(2 * stdtr(self.n - 1, -abs(self.mean) / error))

    @property
    def sign(self) -> int | None:
        """1 or -1 where the interval excludes zero, 0 where it includes it, None where too few seeds decide nothing."""
        if self.n < FEWEST_SEEDS or self.low is None or self.high is None:
            return None
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation."""
    return Spread(len(values), fmean(values), stdev(values) if len(values) > 1 else None)


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """The mean of ours - theirs, pair by pair, with the paired t interval."""
    gaps = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    mean = fmean(gaps)
    if len(gaps) < 2:
        return Difference(len(gaps), mean, None, None)
    from scipy.special import stdtrit

    half = float(stdtrit(len(gaps) - 1, (1 + CONFIDENCE) / 2)) * stdev(gaps) / math.sqrt(len(gaps))
    return Difference(len(gaps), mean, mean - half, mean + half)


def welch_sign(values: Sequence[float], mean: float, std: float, n: int) -> int | None:
    r"""Whether values lie above or below a published mean of ``n`` runs.

    .. math:: \bar x - \mu \pm t_{0.975,\,\nu} \sqrt{s^2 / m + \sigma^2 / n}

    is the 95 % interval of the difference of the means of ``m`` values and of ``n`` runs (Welch's t), with Welch and
    Satterthwaite's :math:`\nu`.

    Returns:
        1 or -1 where the interval excludes zero, 0 where it includes it, None for fewer than 3 values.

    Example:
        >>> [welch_sign(values, 64.7, 0.65, 5) for values in ([64.3, 64.9, 64.7], [66.9, 67.1, 67.0], [64.3])]
        [0, 1, None]
    """
    if len(values) < FEWEST_SEEDS:
        return None
    # scipy.stats has this test, but takes a second to import.
    from scipy.special import stdtrit

    ours, theirs = variance(values) / len(values), std**2 / n
    freedom = (ours + theirs) ** 2 / (ours**2 / (len(values) - 1) + theirs**2 / (n - 1))
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(ours + theirs)
    difference = fmean(values) - mean
    return 0 if abs(difference) <= half else 1 if difference > 0 else -1


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number: below 0.05, they are so together (family-wise error rate).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Reference:
        Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics, 1979.
    """
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[number]))
        adjusted[number] = most
    return adjusted
