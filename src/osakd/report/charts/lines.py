"""A line chart as inline SVG: a quantity over the epochs, for each method a line and a band of ± one deviation."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from osakd.report.charts.svg import (
    Chart,
    Scale,
    epoch_ticks,
    line_at,
    line_class,
    path,
    text_at,
    tick_texts,
    ticks,
    without_outliers,
)
from osakd.report.statistics.trends import MOST_BANDS, Quantity, Trend, limits

WIDTH, HEIGHT = 420, 270
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 24, 34


def line_chart(shown: Sequence[Trend], quantity: Quantity, numbers: Mapping[str, int]) -> Chart:
    """The chart; its caption says what the axes leave out.

    Trends that end far from all others do not widen the axes. The number of a method decides its colour and dashes.
    """
    usual = without_outliers([trend.mean[-1] for trend in shown])
    inside = [trend for trend in shown if trend.mean[-1] in usual]
    low, high = limits(inside, quantity)
    last = max(trend.epochs[-1] for trend in shown)
    first = min(trend.epochs[0] for trend in shown)
    across = Scale(min(first, last - 1), last, LEFT, WIDTH - RIGHT)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    banded = [trend for trend in shown if trend.std is not None and len(trend.mean) > 1]
    lines = [_band(trend, across, up, numbers[trend.label]) for trend in banded if len(shown) <= MOST_BANDS]
    lines += [_line(trend, quantity, across, up, numbers[trend.label]) for trend in shown]
    # A nested picture cuts off what lies outside the axes.
    frame = Markup('<svg x="{0}" y="{1}" width="{2}" height="{3}" viewBox="{0} {1} {2} {3}">{4}</svg>').format(
        LEFT, TOP, WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP, Markup("").join(lines)
    )
    ends = [f"{trend.label} {trend.mean[-1]:.{quantity.decimals}f} {quantity.unit}" for trend in shown]
    drawing = Markup(
        '<svg class="lines" role="img" viewBox="0 0 {} {}" data-frame="{} {} {} {}" data-x="{} {}" data-unit="{}">'
        "<title>{}</title><desc>{}</desc>{}{}</svg>"
    ).format(
        WIDTH, HEIGHT, LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM, across.low, across.high, quantity.unit,
        f"{quantity.title} over the epochs", f"At the last epoch: {', '.join(ends)}.",
        _axes(across, up, quantity, epoch_ticks(first, last)), frame,
    )  # fmt: skip
    beyond = any(not low <= mean <= high for trend in inside for mean in trend.mean)
    caption = [f"The first epochs lie {quantity.steep} the axis."] if beyond else []
    outside = [f"{trend.label} ({trend.mean[-1]:.{quantity.decimals}f})" for trend in shown if trend not in inside]
    caption += [f"Outside the axes, with its last value: {', '.join(outside)}."] if outside else []
    return Chart(" ".join(caption), drawing)


def _axes(across: Scale, up: Scale, quantity: Quantity, epochs: Sequence[int]) -> Markup:
    values = ticks(up.low, up.high, 5)
    parts = [text_at(LEFT - 42, 12, f"{quantity.title} ({quantity.unit})", "s axis")]
    for value, words in zip(values, tick_texts(values), strict=True):
        parts.append(line_at(LEFT, up(value), WIDTH - RIGHT, up(value), "grid"))
        parts.append(text_at(LEFT - 6, up(value) + 3.5, words, "t"))
    for value in epochs:
        parts.append(line_at(across(value), HEIGHT - BOTTOM, across(value), HEIGHT - BOTTOM + 4, "rule"))
        parts.append(text_at(across(value), HEIGHT - BOTTOM + 15, str(value), "m"))
    parts.append(line_at(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "rule"))
    parts.append(text_at((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, "epoch", "m axis"))
    return Markup("").join(parts)


def _band(trend: Trend, across: Scale, up: Scale, number: int) -> Markup:
    below, above = (
        [(across(epoch), up(value)) for epoch, value in zip(trend.epochs, side, strict=True)] for side in trend.band
    )
    return Markup('<path class="band c{}" data-m="{}" d="{}z"/>').format(number % 8, number, path(above + below[::-1]))


def _line(trend: Trend, quantity: Quantity, across: Scale, up: Scale, number: int) -> Markup:
    points = [(across(epoch), up(mean)) for epoch, mean in zip(trend.epochs, trend.mean, strict=True)]
    text = f".{quantity.decimals}f"
    ends = f"{trend.label}: {trend.mean[-1]:{text}} {quantity.unit} at epoch {trend.epochs[-1]}"
    spread = " ".join(f"{half:{text}}" for half in trend.std) if trend.std else ""
    values = Markup('data-m="{}" data-e="{}" data-v="{}" data-s="{}"').format(
        number, " ".join(map(str, trend.epochs)), " ".join(f"{mean:{text}}" for mean in trend.mean), spread
    )
    shape = (
        Markup('<path d="{}"/>').format(path(points))
        if len(points) > 1
        else Markup('<circle r="3.5" cx="{:.1f}" cy="{:.1f}"/>').format(*points[0])
    )
    return Markup('<g class="line {}" data-n="{}" {}><title>{}</title>{}</g>').format(
        line_class(number), trend.label, values, ends, shape
    )
