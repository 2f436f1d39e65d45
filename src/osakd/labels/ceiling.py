"""The largest true-class mass that in-batch soft labels can reach, by arithmetic alone."""

from collections.abc import Iterable, Sequence
from math import exp, lgamma, log, log1p

from osakd.errors import InputError

LOW_CEILING = 0.2
"""Below this mass, soft labels say little about the class and a run warns."""


def soft_label_ceiling(
    batch_size: int, class_frequencies: Iterable[float | int], k: int, *, include_self: bool = True
) -> float:
    r"""The expected true-class mass of an in-batch soft label when the embedding is perfect.

    Even then the batch holds only so many other samples of the same class:

    .. math:: \sum_c f_c \, E[\min(k, s + B_c)] / k, \quad B_c \sim \mathrm{Binomial}(\text{batch size} - 1, f_c)

    with s = 1 if the sample itself counts, and 0 else.

    Args:
        batch_size: samples in a mini-batch, at least 2.
        class_frequencies: share or count of each class in the training set; the values are normalised.
        k: number of neighbours, 1 to ``batch_size`` (``batch_size - 1`` without ``include_self``).
        include_self: count the sample itself among its neighbours, as ``OSAKDLoss`` does by default.

    Returns:
        A mass between 0 and 1.

    Raises:
        InputError: a value is out of its range.

    Example:
        >>> round(soft_label_ceiling(64, [0.1] * 10, 8), 2), round(soft_label_ceiling(64, [0.1] * 10, 16), 2)
        (0.83, 0.46)
        >>> round(soft_label_ceiling(64, [0.1] * 10, 8, include_self=False), 2)
        0.74
    """
    others = batch_size - 1
    largest = batch_size if include_self else others
    if batch_size < 2:
        raise InputError(f"`batch_size` must be at least 2, got {batch_size}.")
    if not 1 <= k <= largest:
        raise InputError(f"`k` must be between 1 and {largest} for a batch of {batch_size}, got {k}.")
    frequencies = [float(value) for value in class_frequencies]
    total = sum(frequencies)
    if total <= 0 or min(frequencies) < 0:
        raise InputError("`class_frequencies` must be non-negative and not all zero.")
    mass = 0.0
    for frequency in (value / total for value in frequencies):
        # E[min(k, X)] = k - sum_{x < k} (k - x) P(X = x), with X the samples of the class in the batch.
        missing = sum((k - x) * _binomial(others, x - include_self, frequency) for x in range(int(include_self), k))
        mass += frequency * (1 - missing / k)
    return mass


def ceiling_note(
    batch_size: int, class_counts: Sequence[int], k: int, *, include_self: bool, pseudo_count: float = 0.0
) -> str:
    """One sentence on the ceiling of a run's in-batch soft labels; a warning below ``LOW_CEILING``."""
    batch_size = min(batch_size, sum(class_counts))
    ceiling = soft_label_ceiling(batch_size, class_counts, k, include_self=include_self)
    mass = (k * ceiling + pseudo_count) / (k + pseudo_count * len(class_counts))
    which = (
        f"k = {k}"
        + (", the sample itself among them," if include_self else "")
        + f" and pseudo-count {pseudo_count:.3g}" * (pseudo_count > 0)
    )
    sentence = f"in-batch soft labels with {which} can give the true class {mass:.2f} on average at most"
    sentence += f" (batch {batch_size})"
    if mass >= LOW_CEILING:
        return f"Note: {sentence}."
    return f"Warning: {sentence}: take a larger batch, a smaller k, or a queue (pool queue)."


def usual_pseudo_count(num_classes: int) -> float:
    """The pseudo-count of each class where none is given.

    From ten classes on those of all classes together count as 2.5 neighbours, for two classes as none, and in between
    as a share of that. With few classes they smooth too much: 2.5 put 12 % on the wrong one of two.
    """
    return 2.5 * min(1.0, (num_classes - 2) / 8) / num_classes


def _binomial(trials: int, successes: int, probability: float) -> float:
    """The probability of so many successes; by logarithms, so that large batches do not overflow."""
    if probability in (0.0, 1.0):
        return float(successes == trials * probability)
    ways = lgamma(trials + 1) - lgamma(successes + 1) - lgamma(trials - successes + 1)
    return exp(ways + successes * log(probability) + (trials - successes) * log1p(-probability))
