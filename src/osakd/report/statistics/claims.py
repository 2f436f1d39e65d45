"""The paper's claims beyond its tables, each with the number that decides it and a verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from osakd.plan import BASELINE, SMOOTHING, Column, Reading
from osakd.report.statistics.column import RecordedColumn, smaller
from osakd.report.statistics.format import NO_DIFFERENCE, points, with_less
from osakd.report.statistics.scores import BEST, LAST, LAST_EPOCHS, Measure

HOLDS, FAILS, SAME, UNTESTED = "holds", "does not hold", "no difference", "not tested"
_OURS = "ours: "
"""How a claim begins that is our question, not the paper's claim."""
_STD, _DROP = Measure("std_of_last_epochs"), Measure("drop")
_LAST_MASS = Measure("soft_label_mass", "train")
_FIRST_MASS = Measure("soft_label_mass", "train", at="first")


@dataclass(frozen=True)
class Claim:
    """A claim about a column.

    Attributes:
        text: the claim in words.
        where: name of the column, or how it is decided.
        number: the number that decides it.
        verdict: whether it holds.
    """

    text: str
    where: str
    number: str
    verdict: str


class _Question(NamedTuple):
    """A claim before it is judged: a number of the runs of a label minus that of a baseline's runs.

    Attributes:
        text: the claim in words.
        label: the label.
        baseline: the label whose number is subtracted.
        measure: the number.
        least: the difference that is claimed.
        over: the baseline's number, where that is another one.
    """

    text: str
    label: str
    baseline: str
    measure: Measure
    least: float = 0.0
    over: Measure | None = None


def claims(column: RecordedColumn) -> list[Claim]:
    """The claims that the runs of a column decide; none where the paper's claims are not about it."""
    plan = column.plan
    if plan is None or not (plan.readings or plan.preferences):
        return []
    pairs = [(reading.ours, BASELINE) for reading in plan.readings]
    pairs += [(preference.better, preference.worse) for preference in plan.preferences]
    untested = Claim("every claim on its runs", column.name, "-", UNTESTED)
    if not any(_is_compared(column, *pair) for pair in pairs):
        return [untested]
    judged = []
    for reading in plan.readings:
        of_reading = f" ({reading.name})" if reading.name else ""
        if _is_compared(column, reading.ours, BASELINE):
            judged += [_judged(column, question) for question in _questions(column, plan, reading, of_reading)]
        else:
            judged.append(Claim(f"{untested.text}{of_reading}", column.name, "-", UNTESTED))
    for claim, better, worse in ((one.claim, one.better, one.worse) for one in plan.preferences):
        judged.append(_judged(column, _Question(f"{claim}, best epoch", better, worse, BEST)))
    return judged


def _is_compared(column: RecordedColumn, label: str, baseline: str) -> bool:
    """Whether two labels have a seed in common."""
    return column.scores.gain(label, baseline, LAST) is not None


def _questions(column: RecordedColumn, plan: Column, reading: Reading, of_reading: str) -> Iterator[_Question]:
    """The paper's claims about a reading of its method, and after the first reading our own questions."""
    label = reading.ours
    published = {cell.label: cell.published.mean for cell in plan.cells if cell.published}
    gain = published[label] - published[BASELINE] if published else 0.0
    runs = [*column.scores.runs[label].values(), *column.scores.runs[BASELINE].values()]
    epochs = min(LAST_EPOCHS, *(len(run.curve.get("test.accuracy").values) for run in runs))
    gains, stable = f"{label.upper()} gains", "more stable: "
    claimed = f"{gains} {gain:+.2f}" if gain else gains
    yield _Question(f"{claimed} at the best epoch{of_reading}", label, BASELINE, BEST, gain / 100)
    yield _Question(f"{stable}std of the last {epochs} epochs, plain - OSAKD{of_reading}", BASELINE, label, _STD)
    yield _Question(f"{stable}best minus last epoch, plain - OSAKD{of_reading}", BASELINE, label, _DROP)
    reliable = f"labels grow reliable: true-class mass, last - first epoch{of_reading}"
    yield _Question(reliable, label, label, _LAST_MASS, over=_FIRST_MASS)
    if reading is plan.readings[0]:
        yield _Question(f"{_OURS}{gains} at the last epoch{of_reading}", label, BASELINE, LAST)
        yield _Question(f"{_OURS}{stable[:-2]} with label smoothing: best minus last epoch", BASELINE, SMOOTHING, _DROP)
        yield _Question(f"{_OURS}more than label smoothing, best epoch{of_reading}", label, SMOOTHING, BEST)
        yield _Question(f"{_OURS}more than label smoothing, last epoch{of_reading}", label, SMOOTHING, LAST)


def _judged(column: RecordedColumn, question: _Question) -> Claim:
    """A claim holds where the interval is above zero and reaches what was claimed."""
    text, label, baseline, measure, least, over = question
    gain = column.scores.gain(label, baseline, measure, over=over)
    if gain is None:
        return Claim(text, column.name, points(gain), UNTESTED)
    runs = [*column.scores.runs[label].values(), *column.scores.runs[baseline].values()]
    less = smaller(column.plan, runs, gain.n)
    if gain.sign is None or gain.low is None or gain.high is None:
        return Claim(text, column.name, points(gain), with_less(UNTESTED, less))
    if gain.high < least or gain.sign < 0:
        word = FAILS
    elif gain.sign > 0:
        word = HOLDS
    else:
        word = SAME if gain.low == gain.high else NO_DIFFERENCE
    return Claim(text, column.name, f"{points(gain)}, n = {gain.n}", with_less(word, less))
