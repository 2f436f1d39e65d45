"""Numbers as text: shares in per cent, differences in points, and the line over a table."""

import re

from osakd.records import DataRecord
from osakd.report.statistics.spread import Difference, Spread

IDENTICAL = "identical"
NO_DIFFERENCE = "no significant difference (95 %)"
MINUS = re.compile(r"(?<![\w.)])-(?=\d)")
"""A hyphen that stands for a minus: before a number, not in a word, a range or an exponent."""


def title(data: DataRecord, model: str, epochs: int, fraction: float) -> str:
    """The line over a table: what was compared on what."""
    channels, height, width = data["input_shape"]
    return (
        f"{data['name']} ({data['train']:,} + {data['test']:,} images, {height}x{width}x{channels}, "
        f"content {data['content'][:8]}), {model}, {epochs} epoch{'s' if epochs > 1 else ''}"
        f"{f', {100 * fraction:g} % of the training images' if fraction < 1 else ''}"
    )


def percent(spread: Spread | None) -> str:
    """A share in per cent: ``93.07 ± 0.17``; ``-`` for None."""
    if spread is None:
        return "-"
    return f"{100 * spread.mean:.2f}" + ("" if spread.std is None else f" ± {100 * spread.std:.2f}")


def nats(spread: Spread | None) -> str:
    """A negative log-likelihood: ``1.016 ± 0.010``; ``-`` for None."""
    if spread is None:
        return "-"
    return f"{spread.mean:.3f}" + ("" if spread.std is None else f" ± {spread.std:.3f}")


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
