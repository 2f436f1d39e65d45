"""The paper's claims beyond its tables, each with the number that decides it and a verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from osakd.plan import BASELINE, SMOOTHING, Interpretation, Panel
from osakd.report.statistics.format import NO_DIFFERENCE, points, with_less
from osakd.report.statistics.panel import RecordedPanel, shortfall
from osakd.report.statistics.scores import BEST, LAST, LAST_EPOCHS, Measure

HOLDS, FAILS, SAME, UNTESTED = "holds", "does not hold", "no difference", "not tested"
_OURS = "ours: "
"""How a claim begins that is our question, not the paper's claim."""
_STD, _DROP = Measure("std_of_last_epochs"), Measure("drop")
_LAST_MASS = Measure("soft_label_mass", "train")
_FIRST_MASS = Measure("soft_label_mass", "train", at="first")


@dataclass(frozen=True)
class Claim:
    """A claim about a panel, the number that decides it, and whether it holds."""

    text: str
    where: str
    number: str
    verdict: str


def claims(panel: RecordedPanel) -> list[Claim]:
    """The claims that the runs of a panel decide; none where the paper's claims are not about it."""
    planned = panel.planned
    if planned is None or not (planned.interpretations or planned.preferences):
        return []
    pairs = [(interpretation.label, BASELINE) for interpretation in planned.interpretations]
    pairs += [(preference.better, preference.worse) for preference in planned.preferences]
    untested = Claim("every claim on its runs", panel.name, "-", UNTESTED)
    if not any(_is_compared(panel, *pair) for pair in pairs):
        return [untested]
    judged = []
    for interpretation in planned.interpretations:
        behind = f" ({interpretation.name})" if interpretation.name else ""
        if _is_compared(panel, interpretation.label, BASELINE):
            judged += _of_interpretation(panel, planned, interpretation, behind)
        else:
            judged.append(Claim(f"{untested.text}{behind}", panel.name, "-", UNTESTED))
    asked = planned.preferences
    return judged + [_judged(panel, f"{one.claim}, best epoch", one.better, one.worse, BEST) for one in asked]


def _is_compared(panel: RecordedPanel, label: str, baseline: str) -> bool:
    """Whether two labels have a seed in common."""
    return panel.scores.gain(label, baseline, LAST) is not None


def _of_interpretation(
    panel: RecordedPanel, planned: Panel, interpretation: Interpretation, behind: str
) -> Iterator[Claim]:
    """The paper's claims about an interpretation of its method, and after the first one our own questions."""
    label = interpretation.label
    published = {method.label: method.published.mean for method in planned.methods if method.published}
    gain = published[label] - published[BASELINE] if published else 0.0
    runs = [*panel.scores.runs[label].values(), *panel.scores.runs[BASELINE].values()]
    epochs = min(LAST_EPOCHS, *(len(run.curve.get("test.accuracy").values) for run in runs))
    judge = partial(_judged, panel)
    gains, stable = f"{label.upper()} gains", "more stable: "
    claimed = f"{gains} {gain:+.2f}" if gain else gains
    yield judge(f"{claimed} at the best epoch{behind}", label, BASELINE, BEST, gain / 100)
    yield judge(f"{stable}std of the last {epochs} epochs, plain - OSAKD{behind}", BASELINE, label, _STD)
    yield judge(f"{stable}best minus last epoch, plain - OSAKD{behind}", BASELINE, label, _DROP)
    reliable = f"labels grow reliable: true-class mass, last - first epoch{behind}"
    yield judge(reliable, label, label, _LAST_MASS, over=_FIRST_MASS)
    if interpretation is planned.interpretations[0]:
        yield judge(f"{_OURS}{gains} at the last epoch{behind}", label, BASELINE, LAST)
        yield judge(f"{_OURS}{stable[:-2]} with label smoothing: best minus last epoch", BASELINE, SMOOTHING, _DROP)
        yield judge(f"{_OURS}more than label smoothing, best epoch{behind}", label, SMOOTHING, BEST)
        yield judge(f"{_OURS}more than label smoothing, last epoch{behind}", label, SMOOTHING, LAST)


def _judged(
    panel: RecordedPanel,
    text: str,
    label: str,
    baseline: str,
    measure: Measure,
    least: float = 0.0,
    over: Measure | None = None,
) -> Claim:
    """A claim holds where the interval of a label's number minus a baseline's is above zero and reaches ``least``."""
    gain = panel.scores.gain(label, baseline, measure, over=over)
    if gain is None:
        return Claim(text, panel.name, points(gain), UNTESTED)
    runs = [*panel.scores.runs[label].values(), *panel.scores.runs[baseline].values()]
    less = shortfall(panel.planned, runs, gain.n)
    if gain.sign is None or gain.low is None or gain.high is None:
        return Claim(text, panel.name, points(gain), with_less(UNTESTED, less))
    if gain.high < least or gain.sign < 0:
        word = FAILS
    elif gain.sign > 0:
        word = HOLDS
    else:
        word = SAME if gain.low == gain.high else NO_DIFFERENCE
    return Claim(text, panel.name, f"{points(gain)}, n = {gain.n}", with_less(word, less))
