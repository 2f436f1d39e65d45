"""A forest plot as inline SVG: each method's paired difference to plain training with its 95 % interval."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from osakd.plan import BASELINE
from osakd.report.charts.svg import Chart, Scale, line_at, text_at, tick_texts, ticks, without_outliers
from osakd.report.statistics.format import points
from osakd.report.statistics.panel import MethodScores
from osakd.report.statistics.scores import BEST, DEPLOYED, LAST, Measure
from osakd.report.statistics.spread import FEWEST_SEEDS, Difference

WIDTH, ROW, TOP, BOTTOM, RIGHT = 420, 30, 26, 36, 12
_LETTER, _MOST_LETTERS, _MOST_LEFT = 7.4, 38, 270.0
"""Width of a letter in pixels, the most letters of a label, and the most pixels for them on the left."""
_KINDS = {
    DEPLOYED: ("deployed network", "full", 0.0),
    LAST: ("last epoch", "full", -4.5),
    BEST: ("best on test", "open", 4.5),
}
"""What each mark of a method shows, the class of the mark, and how far from the middle of the row it lies."""


def forest(methods: Sequence[MethodScores], numbers: Mapping[str, int], note: str = "") -> Chart | None:
    """The plot, a mark for each accuracy of a method that counts, see ``RecordedPanel.accuracies``.

    ``numbers`` are those of the methods in their panel. None where no method has a difference to plain training.
    """
    measures = methods[0].panel.accuracies if methods else ()
    shown: dict[str, dict[Measure, Difference]] = {}
    for method in methods:
        gains = {measure: gain for measure in measures if (gain := method.gain(measure)) is not None}
        if len(gains) == len(measures):
            shown[method.label] = gains
    if not shown:
        return None
    height = TOP + ROW * len(shown) + BOTTOM
    left = min(_MOST_LEFT, 14 + _LETTER * max(map(len, shown)))
    across = Scale(*_limits([gain for gains in shown.values() for gain in gains.values()]), left, WIDTH - RIGHT)
    bottom = height - BOTTOM
    parts = [text_at(8, 12, f"Difference to {BASELINE} (points)", "s axis")]
    values = ticks(across.low, across.high, 5)
    for value, words in zip(values, tick_texts(values), strict=True):
        parts.append(line_at(across(value), TOP, across(value), bottom, "grid"))
        parts.append(text_at(across(value), bottom + 15, words, "m"))
    parts.append(line_at(across(0), TOP, across(0), bottom, "zero"))
    for place, (label, gains) in enumerate(shown.items()):
        middle = TOP + ROW * (place + 0.5)
        words = text_at(left - 8, middle + 3.5, _shortened(label), "t")
        marks = Markup("").join(_marks(gains, across, middle))
        parts.append(Markup('<g data-m="{}">{}{}</g>').format(numbers[label], words, marks))
    # At the ends of the axis: beside zero they would be cut off where it is near an end.
    parts.append(text_at(across.start, height - 4, "← worse", "s axis side"))
    parts.append(text_at(across.end, height - 4, "better →", "t axis"))
    described = [
        f"{label}: {', '.join(f'{points(gain)}, {_KINDS[measure][0]}' for measure, gain in gains.items())}"
        for label, gains in shown.items()
    ]
    drawing = Markup(
        '<svg class="forest" role="img" viewBox="0 0 {} {}"><title>{}</title><desc>{}</desc>{}</svg>'
    ).format(WIDTH, height, "Paired differences to plain training", f"{'; '.join(described)}.", Markup("").join(parts))
    kinds = [
        f"{'Open' if kind == 'open' else 'Filled'}: {words}"
        for words, kind, _ in (_KINDS[measure] for measure in measures)
    ]
    caption = "Paired by seed, with 95 % intervals from two seeds on, dashed where they go beyond the axis. "
    return Chart(f"{caption}{'; '.join(kinds)}. {note}".rstrip(), drawing)


def _shortened(label: str) -> str:
    """A label that fits; the middle of a longer one is left out.

    Example:
        >>> _shortened("plain"), len(_shortened("x" * 60))
        ('plain', 38)
    """
    half = (_MOST_LETTERS - 1) // 2
    return label if len(label) <= _MOST_LETTERS else f"{label[: half + 1]}\N{HORIZONTAL ELLIPSIS}{label[-half:]}"


def _limits(gains: Sequence[Difference]) -> tuple[float, float]:
    """Every mean that is not an outlier, and the intervals of three pairs or more: one of two would flatten others."""
    shown = without_outliers([100 * gain.mean for gain in gains])
    ends = [0.0, *shown]
    for gain in gains:
        if gain.n >= FEWEST_SEEDS and gain.low is not None and gain.high is not None and 100 * gain.mean in shown:
            ends += [100 * gain.low, 100 * gain.high]
    room = 0.06 * (max(ends) - min(ends)) or 0.5
    return min(ends) - room, max(ends) + room


def _marks(gains: Mapping[Measure, Difference], across: Scale, middle: float) -> list[Markup]:
    """The marks of a method; where one lies beyond the axis, the numbers at its end instead."""
    means = [100 * gain.mean for gain in gains.values()]
    if all(across.low <= mean <= across.high for mean in means):
        return [_mark(gain, *_KINDS[measure], across, middle) for measure, gain in gains.items()]
    numbers = ", ".join(f"{mean:+.1f}" for mean in means).replace("-", "\N{MINUS SIGN}")
    if means[0] < 0:
        return [text_at(across.start, middle + 3.5, f"\N{LEFTWARDS ARROW} {numbers}", "s")]
    return [text_at(across.end, middle + 3.5, f"{numbers} \N{RIGHTWARDS ARROW}", "t")]


def _mark(difference: Difference, words: str, kind: str, down: float, across: Scale, middle: float) -> Markup:
    """A dot and its interval; one that goes beyond the axis ends there, dashed."""
    parts, y = [], middle + down
    if difference.low is not None and difference.high is not None:
        low, high = max(100 * difference.low, across.low), min(100 * difference.high, across.high)
        whole = low == 100 * difference.low and high == 100 * difference.high
        parts.append(line_at(across(low), y, across(high), y, "interval" if whole else "interval cut"))
    dot = Markup('<circle r="3.4" cx="{:.1f}" cy="{:.1f}" class="{}"/>')
    parts.append(dot.format(across(100 * difference.mean), y, kind))
    title = f"{words}: {points(difference)}, n = {difference.n}"
    return Markup("<g><title>{}</title>{}</g>").format(title, Markup("").join(parts))
