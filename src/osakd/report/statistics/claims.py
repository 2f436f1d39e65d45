"""The paper's claims beyond its tables, each with the number that decides it and a verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from osakd.plan import BASELINE, SMOOTHING, Column, Preference
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
    if plan is None or plan.preference is None or plan.ours is None:
        return []
    runs, ours = column.planned, plan.ours
    if not runs.get(ours, {}).keys() & runs.get(BASELINE, {}).keys():
        return [Claim("every claim on its runs", column.name, "-", UNTESTED)]
    return [_judged(column, question) for question in _questions(plan, plan.preference, ours, _shortest(column, ours))]


def _questions(plan: Column, preference: Preference, ours: str, epochs: int) -> list[_Question]:
    """The paper's claims about a column, and our own questions."""
    name, gain = ours.upper(), _claimed_gain(plan, ours)
    return [
        _Question(f"{name} gains {gain:+.2f} at the best epoch", ours, BASELINE, _best, gain / 100),
        _Question(f"{_OWN}{name} gains at the last epoch", ours, BASELINE, _last),
        _Question(f"more stable: std of the last {epochs} epochs, plain - OSAKD", BASELINE, ours, _std),
        _Question("more stable: best minus last epoch, plain - OSAKD", BASELINE, ours, _drop),
        _Question(f"{_OWN}more stable with label smoothing: best minus last epoch", BASELINE, SMOOTHING, _drop),
        _Question(
            "labels grow reliable: true-class mass, last - first epoch", ours, ours, _last_mass, 0.0, _first_mass
        ),
        _Question(f"{preference.claim}, best epoch", preference.better, preference.worse, _best),
        _Question(f"{_OWN}more than label smoothing, best epoch", ours, SMOOTHING, _best),
        _Question(f"{_OWN}more than label smoothing, last epoch", ours, SMOOTHING, _last),
    ]


def _claimed_gain(plan: Column, ours: str) -> float:
    """The paper's gain over plain training, in points."""
    published = {cell.label: cell.published.mean for cell in plan.cells if cell.published}
    return published[ours] - published[BASELINE]


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
