"""Numbers as text: shares in per cent, differences in points."""

import re

from osakd.report.statistics.spread import Difference, Spread

IDENTICAL = "identical"
NO_DIFFERENCE = "no significant difference (95 %)"
MINUS = re.compile(r"(?<![\w.)])-(?=\d)")
"""A hyphen that stands for a minus: before a number, not in a word, a range or an exponent."""


def percent(spread: Spread | None) -> str:
    """A share in per cent: ``93.07 ± 0.17``; ``-`` for None."""
    return _spread(spread, 100, 2)


def nats(spread: Spread | None) -> str:
    """A negative log-likelihood: ``1.016 ± 0.010``; ``-`` for None."""
    return _spread(spread, 1, 3)


def _spread(spread: Spread | None, factor: int, decimals: int) -> str:
    numbers = [spread.mean, spread.std] if spread else []
    return " ± ".join(f"{factor * number:.{decimals}f}" for number in numbers if number is not None) or "-"


def points(difference: Difference | None, runs: int | None = None) -> str:
    """A difference in points: ``+0.86 [+0.20, +1.52]``; ``-`` for None.

    Where its row has another number of runs, the number of pairs is added: ``+1.26 (1 pair)``.
    """
    if difference is None:
        return "-"
    text = f"{100 * difference.mean:+.2f}"
    if difference.low is not None and difference.high is not None:
        text += f" [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"
    if runs is None or runs == difference.n:
        return text
    return f"{text} ({difference.n} pair{'s' * (difference.n > 1)})"


def in_nats(difference: Difference | None) -> str:
    """A difference of at least two pairs in nats: ``-0.029 [-0.043, -0.014]``; ``-`` for None."""
    return f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]" if difference else "-"


def with_less(words: str, less: str) -> str:
    """Words, and behind them in brackets what falls short of the plan, if anything.

    Example:
        >>> with_less("holds", "3 of 5 seeds"), with_less(NO_DIFFERENCE, "3 of 5 seeds"), with_less("5", "")
        ('holds (3 of 5 seeds)', 'no significant difference (95 %; 3 of 5 seeds)', '5')
    """
    if not less:
        return words
    return f"{words[:-1]}; {less})" if words.endswith(")") else f"{words} ({less})"
