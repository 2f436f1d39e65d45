"""The few parts of an SVG that the charts share. Colours and lines are the page's style sheet's; nothing is fetched."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

COLOURS, DASHES = 8, 4


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


def look(number: int) -> tuple[int, int]:
    """A method's colour and dashes: neighbours differ in both, and no two of 32 methods have the same.

    Example:
        >>> look(0), look(1), look(9), len({look(number) for number in range(32)})
        ((0, 0), (1, 1), (1, 2), 32)
    """
    return number % COLOURS, (number + number // COLOURS) % DASHES


def line_class(number: int) -> str:
    """The classes of a method's line: its colour and its dashes."""
    return "c{} d{}".format(*look(number))


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` + 1 round values between two, a step of 1, 2, 2.5 or 5 times a power of ten apart."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(part * power for part in (1, 2, 2.5, 5, 10) if part * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(number * step, 10) for number in range(first, last + 1)]
    return [int(value) if value == int(value) else value for value in values]


def epoch_ticks(first: int, last: int) -> list[int]:
    """Round epochs between the first and the last, and these two.

    Example:
        >>> epoch_ticks(1, 74), epoch_ticks(1, 4), epoch_ticks(3, 3)
        ([1, 20, 40, 60, 74], [1, 2, 3, 4], [3])
    """
    room = (last - first) / 10
    inner = ticks(first, last, 5) if room else []
    return sorted({first, last, *(int(one) for one in inner if one == int(one) and first + room < one < last - room)})


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
    if len(values) < 5 or usual == 0:
        return list(values)
    return [value for value in values if abs(value - middle) <= 10 * usual]


def path(points: Sequence[tuple[float, float]]) -> str:
    """Path data through points, to a tenth of a pixel.

    Example:
        >>> path([(10, 20), (15.25, 20), (20.5, 17)])
        'M10.0 20.0L15.2 20.0L20.5 17.0'
    """
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def text_at(x: float, y: float, words: str, kind: str) -> Markup:
    """A text whose class says how it is set: ``t`` ends at its place, ``m`` is centred, ``s`` starts there."""
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, kind, words)


def line_at(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line of a class."""
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, kind)
