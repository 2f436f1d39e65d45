"""The tables of a study in several settings: each method with its last and its averaged weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from osakd.plan import BASELINE, SMOOTHING
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import in_nats, nats, percent, points
from osakd.report.statistics.spread import CONFIDENCE
from osakd.report.statistics.study import Contender, Contrast, Overall, Setting, Study, named, setting_of
from osakd.report.tables.table import Column, Table


@dataclass(frozen=True)
class _Row:
    """A method of a column with its last weights, beside the same with averaged weights."""

    setting: Setting
    last: Contender
    averaged: Contender | None


def weights_table(column: RecordedColumn) -> Table[_Row]:
    """The methods of a column with their last weights, and beside them with averaged weights."""
    setting = setting_of(column)
    rows = [
        _Row(setting, one, setting.contenders.get(named(one.label, averaged=True)))
        for one in setting.contenders.values()
        if not one.averaged
    ]
    tuned = [setting.smoothing(averaged=averaged) for averaged in (False, True)]
    said = [f"{one.label} ({words})" for one, words in zip(tuned, ("last weights", "averaged"), strict=True) if one]
    note = "Test accuracy of the last epoch, differences paired by seed. "
    note += f"Tuned label smoothing, the best by validation: {', '.join(said)}." if said else ""
    return Table("Last and averaged weights", _COLUMNS, rows, note.rstrip(), lambda row: row.last.label)


def overall_table(study: Study) -> Table[Overall]:
    """What every method gains on plain training in all settings, and in its worst one."""
    tuned = {one.name: one for one in study.overall(SMOOTHING)}

    def against_tuned(row: Overall) -> str:
        return f"{100 * tuned[row.name].mean:+.2f}" if row.name in tuned else "-"

    def worst_against_tuned(row: Overall) -> str:
        return _worst(tuned[row.name]) if row.name in tuned else "-"

    columns = (
        Column[Overall]("method", lambda row: row.name, is_text=True),
        Column[Overall]("settings", lambda row: str(len(row.gains))),
        Column[Overall](f"mean vs {BASELINE}", lambda row: f"{100 * row.mean:+.2f}"),
        Column[Overall]("worst setting [95 % CI]", _worst),
        Column[Overall]("never worse", lambda row: "yes" if row.harmless else "not shown", is_text=True),
        Column[Overall]("mean vs tuned smoothing", against_tuned),
        Column[Overall]("worst setting [95 % CI] vs tuned smoothing", worst_against_tuned),
    )
    note = (
        "Test accuracy of the last epoch in points, paired by seed, each against plain training or tuned label "
        "smoothing with the same kind of weights. Never worse: the interval ends above -0.5 in every setting."
    )
    return Table("In all settings", columns, study.overall(BASELINE), note)


def contrast_tables(study: Study) -> list[Table[Contrast]]:
    """Our methods against their rivals and controls: test accuracy, and NLL; a column for each setting."""
    rows, settings = study.contrasts(), [one.name for one in study.settings]

    def accuracy(setting: str, row: Contrast) -> str:
        star = "*" if row.adjusted.get(setting, 1) < 1 - CONFIDENCE else ""
        return points(row.accuracy.get(setting)) + star

    def nll(setting: str, row: Contrast) -> str:
        return in_nats(row.nll[setting]) if setting in row.nll else "-"

    pair = (
        Column[Contrast]("method", lambda row: row.name, is_text=True),
        Column[Contrast]("against", lambda row: row.rival, is_text=True),
    )
    note = "Differences of the last epoch on the test images, paired by seed, with the 95 % interval."
    starred = f"{note} Star: p below 0.05 after Holm's correction over the whole table."
    return [
        Table(
            f"Against rivals and controls: {what}",
            (*pair, *(Column[Contrast](setting, partial(cell, setting)) for setting in settings)),
            rows,
            words,
        )
        for what, cell, words in (("accuracy in points", accuracy, starred), ("NLL in nats", nll, note))
    ]


def _of(score: str, *, averaged: bool) -> Callable[[_Row], str]:
    def cell(row: _Row) -> str:
        one = row.averaged if averaged else row.last
        found = one.spread(score) if one else None
        return "-" if found is None else nats(found) if score == "nll" else percent(found)

    return cell


def _gain(*, averaged: bool) -> Callable[[_Row], str]:
    def cell(row: _Row) -> str:
        one = row.averaged if averaged else row.last
        other = row.setting.baseline(averaged=averaged)
        return points(one.gain(other)) if one and other and one.label != other.label else "-"

    return cell


def _pair(*, averaged: bool) -> Sequence[Column[_Row]]:
    kind = ", averaged" if averaged else ""
    return (
        Column[_Row](f"test %{kind}", _of("accuracy", averaged=averaged)),
        Column[_Row](f"vs {BASELINE}{kind} [95 % CI]", _gain(averaged=averaged)),
        Column[_Row](f"NLL{kind}", _of("nll", averaged=averaged)),
        Column[_Row](f"ECE %{kind}", _of("ece", averaged=averaged)),
    )


_COLUMNS = (
    Column[_Row]("method", lambda row: row.last.label, is_text=True),
    Column[_Row]("n", lambda row: str(len(row.last.runs))),
    *_pair(averaged=False),
    *_pair(averaged=True),
)


def _worst(row: Overall) -> str:
    setting, gain = row.worst
    return f"{points(gain)}, {setting}"
