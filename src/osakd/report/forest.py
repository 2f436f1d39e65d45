"""A forest plot as inline SVG: each method's paired difference to plain training with its 95 % interval."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from osakd.report.aggregate import BASELINE, Difference, MethodSummary
from osakd.report.svg import Scale, line_at, text_at, tick_texts, ticks
from osakd.report.tables import points
from osakd.report.verdicts import FEWEST_RUNS

WIDTH, ROW, TOP, BOTTOM, RIGHT = 420, 30, 26, 36, 12
_LETTER = 7.4
"""Width of a letter, in pixels, for the room on the left."""
_KINDS = (("last", "last epoch", "full", -4.5), ("best_on_test", "best on test", "open", 4.5))


def forest(methods: Sequence[MethodSummary], numbers: Mapping[str, int]) -> Markup | None:
    """The plot, two marks for each method: the last epoch's difference and the one of the best epochs on test.

    Args:
        methods: of a column; those without a difference are left out.
        numbers: of each method in its column.

    Returns:
        None where no method has a difference to plain training.
    """
    shown = [method for method in methods if method.differences and method.predictor is None]
    if not shown:
        return None
    height = TOP + ROW * len(shown) + BOTTOM
    left = min(190.0, 14 + _LETTER * max(len(method.label) for method in shown))
    across = Scale(*_limits(shown), left, WIDTH - RIGHT)
    bottom = height - BOTTOM
    parts = [text_at(8, 12, f"Difference to {BASELINE} (points)", "s axis")]
    values = ticks(across.low, across.high, 5)
    for value, words in zip(values, tick_texts(values), strict=True):
        parts.append(line_at(across(value), TOP, across(value), bottom, "grid"))
        parts.append(text_at(across(value), bottom + 15, words, "m"))
    parts.append(line_at(across(0), TOP, across(0), bottom, "zero"))
    for place, method in enumerate(shown):
        middle = TOP + ROW * (place + 0.5)
        marks = [
            _mark(method.differences[key], words, kind, across, middle + shift)
            for key, words, kind, shift in _KINDS
            if key in method.differences
        ]
        parts.append(
            Markup('<g data-m="{}">{}{}</g>').format(
                numbers[method.label], text_at(left - 8, middle + 3.5, method.label, "t"), Markup("").join(marks)
            )
        )
    for words, side, kind in (("← worse", -8, "t axis"), ("better →", 8, "s axis side")):
        parts.append(text_at(across(0) + side, height - 4, words, kind))
    said = "; ".join(
        f"{method.label}: {', '.join(f'{points(method.differences[key])} at {w}' for key, w, _, _ in _KINDS)}"
        for method in shown
    )
    return Markup('<svg class="forest" role="img" viewBox="0 0 {} {}"><title>{}</title><desc>{}</desc>{}</svg>').format(
        WIDTH, height, "Paired differences to plain training", f"{said}.", Markup("").join(parts)
    )


def _limits(methods: Sequence[MethodSummary]) -> tuple[float, float]:
    """Every mean, and the intervals of three pairs or more: one of two pairs would flatten all others."""
    ends = [0.0]
    for difference in (one for method in methods for one in method.differences.values()):
        ends.append(100 * difference.mean)
        if difference.n >= FEWEST_RUNS and difference.low is not None and difference.high is not None:
            ends += [100 * difference.low, 100 * difference.high]
    room = 0.06 * (max(ends) - min(ends)) or 0.5
    return min(ends) - room, max(ends) + room


def _mark(difference: Difference, words: str, kind: str, across: Scale, y: float) -> Markup:
    """A dot and its interval; an interval that goes beyond the axis ends there, open, with a thin line."""
    parts = []
    if difference.low is not None and difference.high is not None:
        low, high = max(100 * difference.low, across.low), min(100 * difference.high, across.high)
        whole = low == 100 * difference.low and high == 100 * difference.high
        parts.append(line_at(across(low), y, across(high), y, "interval" if whole else "interval cut"))
    parts.append(
        Markup('<circle r="3.4" cx="{}" cy="{}" class="{}"/>').format(
            f"{across(100 * difference.mean):.1f}", f"{y:.1f}", kind
        )
    )
    title = f"{words}: {points(difference)}, n = {difference.n}"
    return Markup("<g><title>{}</title>{}</g>").format(title, Markup("").join(parts))
