"""Which method to take, computed from the records: chosen by validation, and only where the test images agree."""

from collections.abc import Sequence
from statistics import fmean

from osakd.methods.registry import METHODS
from osakd.plan import BASELINE, SMOOTHING
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import percent, points
from osakd.report.statistics.spread import FEWEST_SEEDS
from osakd.report.statistics.study import Contender, Setting, setting_of

_NOT_CHOSEN = (
    "No method is recommended: no images were held out for validation, and the test images must not choose. Train with "
    "--validation 0.1 for a recommendation."
)


def recommendations(columns: Sequence[RecordedColumn]) -> list[str]:
    """What to take in each setting, one sentence or two.

    The best by validation accuracy of the last epoch is recommended if it is better on the test images than the best
    of plain training and label smoothing (95 % interval, paired by seed). Otherwise that simpler one is, if it is
    better than plain training in its turn.

    Args:
        columns: columns with finished runs; columns of one method are left out.
    """
    settings = [one for one in map(setting_of, columns) if len(one.contenders) > 1 and one.seeds]
    known = [setting for setting in settings if _by_validation(setting)]
    if not known:
        return [_NOT_CHOSEN] if settings and not any(map(_validated, settings)) else []
    return [_advice(setting, name=len(columns) > 1) for setting in known]


def _validated(setting: Setting) -> bool:
    return any(one.by_seed("accuracy", "validation") for one in setting.contenders.values())


def _by_validation(setting: Setting) -> list[Contender]:
    """Contenders with enough seeds, the best first: by their mean gain on plain training, paired by seed."""
    plain = setting.contenders[BASELINE].by_seed("accuracy", "validation")
    gains = {}
    for one in setting.contenders.values():
        own = one.by_seed("accuracy", "validation")
        common = plain.keys() & own.keys()
        if len(common) >= FEWEST_SEEDS:
            gains[one.name] = fmean(own[seed] - plain[seed] for seed in common)
    return [setting.contenders[name] for name in sorted(gains, key=gains.__getitem__, reverse=True)]


def _advice(setting: Setting, *, name: bool) -> str:
    ranked = _by_validation(setting)
    simple = next(one for one in ranked if one.label == BASELINE or one.label.startswith(SMOOTHING))
    plain, best, said = setting.contenders[BASELINE], ranked[0], ""
    taken = best
    if best is not simple and not _better(best, simple):
        said = f" {best.name} is the best by validation, but not shown to be better ({_gain(best, simple)})."
        taken = simple
    if taken is simple and taken is not plain and not _better(taken, plain):
        said = f" Nothing is shown to be better: {best.name}, the best by validation, has {_gain(best, plain)}."
        taken = plain
    where = f"On {setting.name}, take" if name else "Take"
    others = [one for one in setting.contenders.values() if (one is plain or one is simple) and one is not taken]
    parts = [
        f"{percent(taken.spread('accuracy'))} % on test at the last epoch",
        f"{len(taken.by_seed('accuracy'))} seeds",
        *(f"{_gain(taken, other)} over {other.name}" for other in others if taken is not plain),
        *([_cost(taken)] if taken is not plain else []),
    ]
    return f"{where} {taken.name}: {', '.join(parts)}.{said}"


def _better(one: Contender, other: Contender) -> bool:
    gain = one.gain(other)
    return gain is not None and bool(gain.sign and gain.sign > 0)


def _cost(one: Contender) -> str:
    """What its training needs beyond the network. A step's time would say less: runs are timed in groups, and apart."""
    method = next(iter(one.runs.values())).config.method
    needs = ["averaged weights beside the network's own"] if one.averaged else []
    if method in METHODS and not METHODS[method].settings.single_network:
        needs.append("further networks or branches")
    return f"training needs {' and '.join(needs)}" if needs else "training needs no other network"


def _gain(one: Contender, other: Contender) -> str:
    return f"{points(one.gain(other))} points"
