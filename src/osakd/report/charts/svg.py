"""The few parts of an SVG that the charts share. Colours and lines are the page's style sheet's; nothing is fetched."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

COLOURS, DASHES = 8, 4
FEWEST = 5
"""With fewer values none is an outlier."""


@dataclass(frozen=True)
class Chart:
    """A chart and the words below it."""

    caption: str
    drawing: Markup


@dataclass(frozen=True)
class Scale:
    """Maps values between ``low`` and ``high`` to pixels between ``start`` and ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def line_class(number: int) -> str:
    """The classes of a method's line: its colour and its dashes, together the same for no two of 32 methods.

    Example:
        >>> line_class(0), line_class(9), len({line_class(number) for number in range(32)})
        ('c0 d0', 'c1 d2', 32)
    """
    return f"c{number % COLOURS} d{(number + number // COLOURS) % DASHES}"


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` + 1 round values between two, a step of 1, 2, 2.5 or 5 times a power of ten apart."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(part * power for part in (1, 2, 2.5, 5, 10) if part * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(number * step, 10) for number in range(first, last + 1)]
    return [int(value) if value == int(value) else value for value in values]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Ticks as text, all with the decimals that the finest needs; a minus as typesetters have it.

    Example:
        >>> tick_texts([-0.5, 0, 0.5])
        ['\N{MINUS SIGN}0.5', '0.0', '0.5']
    """
    decimals = max((len(f"{value:.6f}".rstrip("0").partition(".")[2]) for value in values), default=0)
    return [f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in values]


def without_outliers(values: Sequence[float]) -> list[float]:
    """The values that an axis must show: of five or more, not those that would flatten all others.

    Left out is what is farther from the median than ten times the median distance to it.
    """
    middle = median(values)
    usual = median(abs(value - middle) for value in values)
    if len(values) < FEWEST or usual == 0:
        return list(values)
    return [value for value in values if abs(value - middle) <= 10 * usual]


def path(points: Sequence[tuple[float, float]]) -> str:
    """Path data through points, to a tenth of a pixel: relative and without what can be left out, to be small.

    Example:
        >>> path([(10, 20), (15.25, 20), (20.5, 17)])
        'M10 20l5.2 0 5.3-3'
    """
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    text, (before_x, before_y) = f"M{_tenths(tenths[0][0])} {_tenths(tenths[0][1])}", tenths[0]
    for number, (x, y) in enumerate(tenths[1:]):
        for value, glue in ((x - before_x, "l" if number == 0 else " "), (y - before_y, " ")):
            # A minus parts numbers as well as a space.
            text += ("" if glue == " " and value < 0 else glue) + _tenths(value)
        before_x, before_y = x, y
    return text


def text_at(x: float, y: float, words: str, kind: str) -> Markup:
    """A text whose class says how it is set: ``t`` ends at its place, ``m`` is centred, ``s`` starts there."""
    place = [_tenths(round(10 * value)) for value in (x, y)]
    return Markup('<text x="{}" y="{}" class="{}">{}</text>').format(*place, kind, words)


def line_at(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line of a class."""
    ends = [_tenths(round(10 * value)) for value in (x1, y1, x2, y2)]
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(*ends, kind)


def _tenths(value: int) -> str:
    """A number of tenths, as short as can be.

    Example:
        >>> _tenths(-3), _tenths(120), _tenths(125)
        ('-.3', '12', '12.5')
    """
    whole, tenth = divmod(abs(value), 10)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}" if tenth == 0 else f"{sign}{whole or ''}.{tenth}"
