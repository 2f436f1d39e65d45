"""The paper's claims beyond its tables, each with the number that decides it and a verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from osakd.plan import BASELINE, SMOOTHING, Column, Reading
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import NO_DIFFERENCE, points, with_less
from osakd.report.statistics.pooled import smaller_runs
from osakd.report.statistics.readings import LAST_EPOCHS, std_of_last_epochs
from osakd.report.statistics.runs import Curve
from osakd.report.statistics.spread import paired_by_seed

HOLDS, FAILS, SAME, UNTESTED = "holds", "does not hold", "no difference", "not tested"
_OWN = "ours: "
"""How a claim begins that is our question, not the paper's claim."""
_MASS = "train.soft_label_mass"


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
    """A claim before it is judged: a value of the runs of one label, minus a value of those of another.

    Attributes:
        text: the claim in words.
        ours: label whose runs have the first value.
        theirs: label whose runs have the second one.
        value: the first value.
        least: the difference that is claimed.
        other: the second value, where it is another one.
    """

    text: str
    ours: str
    theirs: str
    value: Callable[[Curve], float]
    least: float = 0.0
    other: Callable[[Curve], float] | None = None


def claims(column: RecordedColumn) -> list[Claim]:
    """The claims that the runs of a column decide; none where the paper's claims are not about it."""
    plan = column.plan
    if plan is None or not (plan.readings or plan.preferences):
        return []
    if not any(_compared(column, one.ours, BASELINE) for one in plan.readings) and not any(
        _compared(column, one.better, one.worse) for one in plan.preferences
    ):
        return [Claim("every claim on its runs", column.name, "-", UNTESTED)]
    judged = []
    for reading in plan.readings:
        if _compared(column, reading.ours, BASELINE):
            asked = _questions(plan, reading, _shortest(column, reading.ours))
            asked += _own_questions(reading) if reading is plan.readings[0] else []
            judged += [_judged(column, question) for question in asked]
        else:
            judged.append(Claim(_of("every claim on its runs", reading), column.name, "-", UNTESTED))
    asked = [_Question(f"{one.claim}, best epoch", one.better, one.worse, _best) for one in plan.preferences]
    return judged + [_judged(column, question) for question in asked]


def _compared(column: RecordedColumn, ours: str, theirs: str) -> bool:
    """Whether two cells have a seed in common."""
    return bool(column.planned.get(ours, {}).keys() & column.planned.get(theirs, {}).keys())


def _questions(plan: Column, reading: Reading, epochs: int) -> list[_Question]:
    """The paper's claims about a reading of its method."""
    ours, gain = reading.ours, _claimed_gain(plan, reading.ours)
    gains = f"{ours.upper()} gains" + (f" {gain:+.2f}" if gain else "")
    stable = f"more stable: std of the last {epochs} epochs, plain - OSAKD"
    reliable = "labels grow reliable: true-class mass, last - first epoch"
    return [
        _Question(_of(f"{gains} at the best epoch", reading), ours, BASELINE, _best, gain / 100),
        _Question(_of(stable, reading), BASELINE, ours, _std),
        _Question(_of("more stable: best minus last epoch, plain - OSAKD", reading), BASELINE, ours, _drop),
        _Question(_of(reliable, reading), ours, ours, _last_mass, 0.0, _first_mass),
    ]


def _own_questions(reading: Reading) -> list[_Question]:
    """Our own questions about a reading, and about label smoothing."""
    ours = reading.ours
    return [
        _Question(_of(f"{_OWN}{ours.upper()} gains at the last epoch", reading), ours, BASELINE, _last),
        _Question(f"{_OWN}more stable with label smoothing: best minus last epoch", BASELINE, SMOOTHING, _drop),
        _Question(_of(f"{_OWN}more than label smoothing, best epoch", reading), ours, SMOOTHING, _best),
        _Question(_of(f"{_OWN}more than label smoothing, last epoch", reading), ours, SMOOTHING, _last),
    ]


def _of(claim: str, reading: Reading) -> str:
    """A claim with the reading that it is about, where the column has several."""
    return f"{claim} ({reading.name})" if reading.name else claim


def _claimed_gain(plan: Column, ours: str) -> float:
    """The paper's gain over plain training, in points; 0 where it has no numbers."""
    published = {cell.label: cell.published.mean for cell in plan.cells if cell.published}
    return published[ours] - published[BASELINE] if published else 0.0


def _shortest(column: RecordedColumn, ours: str) -> int:
    """The number of epochs over which the stability of every run can be measured."""
    runs = [run for label in (ours, BASELINE) for run in column.planned[label].values()]
    return min(LAST_EPOCHS, *(len(run.curve.get("test.accuracy").values) for run in runs))


def _judged(column: RecordedColumn, question: _Question) -> Claim:
    """A claim holds where the interval is above zero and reaches what was claimed."""
    ours, theirs = (column.planned.get(label, {}) for label in (question.ours, question.theirs))
    other = question.other or question.value
    gain = paired_by_seed(
        {seed: question.value(run.curve) for seed, run in ours.items()},
        {seed: other(run.curve) for seed, run in theirs.items()},
    )
    if gain is None:
        return Claim(question.text, column.name, points(gain), UNTESTED)
    less = smaller_runs(column.plan, [*ours.values(), *theirs.values()], gain.n)
    if gain.sign is None or gain.low is None or gain.high is None:
        return Claim(question.text, column.name, points(gain), with_less(UNTESTED, less))
    if gain.high < question.least or gain.sign < 0:
        word = FAILS
    elif gain.sign > 0:
        word = HOLDS
    else:
        word = SAME if gain.low == gain.high else NO_DIFFERENCE
    return Claim(question.text, column.name, f"{points(gain)}, n = {gain.n}", with_less(word, less))


def _best(curve: Curve) -> float:
    return max(curve.get("test.accuracy").values)


def _last(curve: Curve) -> float:
    return curve.get("test.accuracy").values[-1]


def _std(curve: Curve) -> float:
    return std_of_last_epochs(curve.get("test.accuracy").values)


def _drop(curve: Curve) -> float:
    """The best test accuracy minus the last."""
    return _best(curve) - _last(curve)


def _first_mass(curve: Curve) -> float:
    return curve.get(_MASS).values[0]


def _last_mass(curve: Curve) -> float:
    return curve.get(_MASS).values[-1]
