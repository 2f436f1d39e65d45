"""Which method to take, computed from the records: chosen by validation, and only where the test images agree."""

from collections.abc import Sequence

from osakd.methods.registry import METHODS
from osakd.plan import BASELINE, SMOOTHING
from osakd.report.statistics.format import percent, points
from osakd.report.statistics.panel import MethodScores, RecordedPanel
from osakd.report.statistics.scores import DEPLOYED, Measure
from osakd.report.statistics.spread import FEWEST_SEEDS, Difference
from osakd.report.statistics.study import candidates, named

_VALIDATION = Measure(split="validation", at="deployed")
_NOT_CHOSEN = (
    "No method is recommended: no images were held out for validation, and the test images must not choose. Train with "
    "--validation 0.1 for a recommendation."
)


def recommendations(panels: Sequence[RecordedPanel]) -> list[str]:
    """What to take in each setting, one sentence or two; panels of one method are left out.

    The best by validation accuracy of the deployed network is recommended if it is better on the test images than the
    best of plain training and label smoothing (95 % interval, paired by seed). Otherwise that simpler one is, if it is
    better than plain training in its turn.
    """
    compared = [panel for panel in panels if BASELINE in panel.scores.runs and len(candidates(panel)) > 1]
    ranked = [(panel, _by_validation(panel)) for panel in compared]
    advice = [_advice(panel, rows, name=len(panels) > 1) for panel, rows in ranked if rows]
    if advice or not compared or any(row.by_seed(_VALIDATION) for panel in compared for row in candidates(panel)):
        return advice
    return [_NOT_CHOSEN]


def _by_validation(panel: RecordedPanel) -> list[MethodScores]:
    """The methods with enough seeds, the best first: by their mean gain on plain training, paired by seed."""
    rows = [
        (row, panel.scores.gain(row.label, BASELINE, row.of(_VALIDATION), over=_VALIDATION))
        for row in candidates(panel)
    ]
    known = [(row, gain.mean) for row, gain in rows if gain and gain.n >= FEWEST_SEEDS]
    return [row for row, _ in sorted(known, key=lambda item: item[1], reverse=True)]


def _advice(panel: RecordedPanel, ranked: Sequence[MethodScores], *, name: bool) -> str:
    simple = next(row for row in ranked if row.label == BASELINE or row.label.startswith(SMOOTHING))
    plain = next(row for row in ranked if row.label == BASELINE and not row.output)
    best = taken = ranked[0]
    doubt = ""
    if best is not simple and not _is_better(best, simple):
        doubt = (
            f" {_name(best)} is the best by validation, but not shown to be better ({_gain_in_words(best, simple)})."
        )
        taken = simple
    if taken is simple and taken is not plain and not _is_better(taken, plain):
        doubt = (
            f" Nothing is shown to be better: {_name(best)}, the best by validation, has {_gain_in_words(best, plain)}."
        )
        taken = plain
    where = f"On {panel.name}, take" if name else "Take"
    parts = [f"{percent(taken.spread(DEPLOYED))} % on test", f"{taken.n} seeds"]
    if taken is not plain:
        others = [plain] if taken is simple or simple is plain else [plain, simple]
        parts += [f"{_gain_in_words(taken, other)} over {_name(other)}" for other in others]
        parts.append(_needs(taken))
    return f"{where} {_name(taken)}: {', '.join(parts)}.{doubt}"


def _is_better(ours: MethodScores, theirs: MethodScores) -> bool:
    gain = _gain(ours, theirs)
    return gain is not None and gain.sign == 1


def _needs(row: MethodScores) -> str:
    """What its training needs beyond the network. A step's time would say less: some runs are timed in groups."""
    method = row.runs[0].config.method
    needs = ["averaged weights beside the network's own"] if row.output else []
    if method in METHODS and not METHODS[method].settings.single_network:
        needs.append("further networks or branches")
    return f"training needs {' and '.join(needs)}" if needs else "training needs no other network"


def _gain(ours: MethodScores, theirs: MethodScores) -> Difference | None:
    return ours.panel.scores.gain(ours.label, theirs.label, ours.of(DEPLOYED), over=theirs.of(DEPLOYED))


def _gain_in_words(ours: MethodScores, theirs: MethodScores) -> str:
    return f"{points(_gain(ours, theirs))} points"


def _name(row: MethodScores) -> str:
    return named(row.label, row.output)
