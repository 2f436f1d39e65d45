"""Numbers as text: shares in per cent, differences in points, and the line over a table."""

import re

from osakd.report.statistics.aggregate import Summary
from osakd.report.statistics.spread import Difference, Spread

NO_DIFFERENCE = "no significant difference (95 %)"
MINUS = re.compile(r"(?<![\w.)])-(?=\d)")
"""A hyphen that stands for a minus: before a number, not in a word, a range or an exponent."""


def title(summary: Summary) -> str:
    """The line over a table: what was compared on what."""
    data = summary.data
    channels, height, width = data["input_shape"]
    share = summary.configuration["fraction"]
    return (
        f"{data['name']} ({data['train']:,} + {data['test']:,} images, {height}x{width}x{channels}, "
        f"content {data['content'][:8]}), {summary.model}, {summary.epochs} epoch{'s' if summary.epochs > 1 else ''}"
        f"{f', {100 * share:g} % of the training images' if share < 1 else ''}"
    )


def percent(spread: Spread | None) -> str:
    """A share in per cent: ``93.07 ± 0.17``."""
    if spread is None:
        return "-"
    return f"{100 * spread.mean:.2f}" + ("" if spread.std is None else f" ± {100 * spread.std:.2f}")


def nats(spread: Spread) -> str:
    """A negative log-likelihood: ``1.016 ± 0.010``."""
    return f"{spread.mean:.3f}" + ("" if spread.std is None else f" ± {spread.std:.3f}")


def points(difference: Difference | None, runs: int | None = None) -> str:
    """A difference in points: ``+0.86 [+0.20, +1.52]``.

    Args:
        difference: the difference; ``-`` for None.
        runs: number of runs in its row of the table; another number of pairs is added: ``+1.26 (1 pair)``.
    """
    if difference is None:
        return "-"
    text = f"{100 * difference.mean:+.2f}"
    if difference.low is not None and difference.high is not None:
        text += f" [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"
    if runs is None or runs == difference.n:
        return text
    return f"{text} ({difference.n} pair{'s' * (difference.n > 1)})"


def in_nats(difference: Difference) -> str:
    """A difference of at least two pairs in nats: ``-0.029 [-0.043, -0.014]``."""
    return f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def with_less(words: str, less: str) -> str:
    """Words, and behind them in brackets what is smaller than planned, if anything.

    Example:
        >>> with_less("holds", "3 of 5 seeds"), with_less(NO_DIFFERENCE, "3 of 5 seeds"), with_less("5", "")
        ('holds (3 of 5 seeds)', 'no significant difference (95 %; 3 of 5 seeds)', '5')
    """
    if not less:
        return words
    return f"{words[:-1]}; {less})" if words.endswith(")") else f"{words} ({less})"
