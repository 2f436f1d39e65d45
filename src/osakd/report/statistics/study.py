"""A study of methods in several settings, with last and with averaged weights: gains, worst settings, rivals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from osakd.plan import BASELINE, SMOOTHING, TUNED
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.runs import FinishedRun
from osakd.report.statistics.spread import FEWEST_SEEDS, Difference, Spread, holm, paired_by_seed, spread

HARMLESS = -0.005
"""A method does no harm in a setting where the interval of its gain ends above this."""
_AVERAGED = "others.averaged."
SCORES = ("accuracy", "nll", "ece")


@dataclass(frozen=True)
class Contender:
    """A method with its last or its averaged weights, in one setting.

    Attributes:
        label: label of its cell.
        averaged: whether its weights are averaged along training.
        runs: its runs by seed.
    """

    label: str
    averaged: bool
    runs: dict[int, FinishedRun]

    @property
    def name(self) -> str:
        """Its label, and whether its weights are averaged."""
        return named(self.label, averaged=self.averaged)

    def by_seed(self, score: str, split: str = "test") -> dict[int, float]:
        """A score of the last epoch for each seed."""
        key = f"{_AVERAGED if self.averaged else ''}{split}.{score}"
        curves = {seed: run.curve.get(key).values for seed, run in self.runs.items()}
        return {seed: values[-1] for seed, values in curves.items() if len(values)}

    def spread(self, score: str) -> Spread | None:
        """Mean and standard deviation of a score over seeds."""
        values = list(self.by_seed(score).values())
        return spread(values) if values else None

    def gain(self, other: "Contender | None", score: str = "accuracy") -> Difference | None:
        """What it gains on another, paired by seed."""
        return None if other is None else paired_by_seed(self.by_seed(score), other.by_seed(score))


@dataclass(frozen=True)
class Setting:
    """The contenders of a column."""

    name: str
    contenders: dict[str, Contender]

    @property
    def seeds(self) -> int:
        """Number of seeds of plain training."""
        return len(self.contenders[BASELINE].runs) if BASELINE in self.contenders else 0

    def baseline(self, *, averaged: bool) -> Contender | None:
        """Plain training with the same kind of weights."""
        return self.contenders.get(named(BASELINE, averaged=averaged))

    def smoothing(self, *, averaged: bool) -> Contender | None:
        """Label smoothing with the same kind of weights, tuned: the best by validation accuracy."""
        tuned = [
            one for one in self.contenders.values() if one.label.startswith(SMOOTHING) and one.averaged == averaged
        ]
        means = {one.name: list(one.by_seed("accuracy", "validation").values()) for one in tuned}
        known = [one for one in tuned if means[one.name]]
        return max(known, key=lambda one: fmean(means[one.name]), default=None)


@dataclass(frozen=True)
class Overall:
    """What a method gains on another in all settings.

    Attributes:
        name: the method, and whether its weights are averaged.
        gains: paired difference of the test accuracy, by setting.
    """

    name: str
    gains: dict[str, Difference]

    @property
    def mean(self) -> float:
        """Its mean gain over the settings."""
        return fmean(gain.mean for gain in self.gains.values())

    @property
    def worst(self) -> tuple[str, Difference]:
        """The setting where it gains least, and that gain."""
        return min(self.gains.items(), key=lambda item: item[1].mean)

    @property
    def harmless(self) -> bool:
        """Whether the interval of its gain ends above -0.5 points in every setting."""
        return all(gain.low is not None and gain.low > HARMLESS for gain in self.gains.values())


@dataclass(frozen=True)
class Contrast:
    """A method against a rival or a control with the same kind of weights, in all settings that have both.

    Attributes:
        name: the method, and whether its weights are averaged.
        rival: the other, likewise; the best label smoothing by validation may be another one in each setting.
        accuracy: paired difference of the test accuracy, by setting.
        nll: that of the negative log-likelihood.
        adjusted: p-value of the accuracy after Holm's correction over all contrasts and settings.
    """

    name: str
    rival: str
    accuracy: dict[str, Difference]
    nll: dict[str, Difference]
    adjusted: dict[str, float]


class Study:
    """The settings of a study with finished runs.

    Args:
        columns: its columns.
    """

    def __init__(self, columns: Sequence[RecordedColumn]) -> None:
        self.settings = [setting for setting in map(setting_of, columns) if setting.contenders]
        self.planned_contrasts = next((column.plan.contrasts for column in columns if column.plan), {})

    @cached_property
    def names(self) -> list[str]:
        """The contenders of all settings: with their last weights, then averaged."""
        found = dict.fromkeys(name for setting in self.settings for name in setting.contenders)
        return sorted(found, key=lambda name: name.endswith(AVERAGED))

    def overall(self, against: str) -> list[Overall]:
        """Every contender's gains on ``plain``, or on tuned ``label-smoothing``, with the same kind of weights."""
        rows = []
        for name in self.names:
            gains = {}
            for setting in self.settings:
                one = setting.contenders.get(name)
                other = _other(setting, one, against) if one else None
                gain = one.gain(other) if one and other and other.name != name else None
                if gain is not None:
                    gains[setting.name] = gain
            if gains:
                rows.append(Overall(name, gains))
        return rows

    def contrasts(self) -> list[Contrast]:
        """The planned contrasts with three common seeds in a setting; Holm's correction over all of them."""
        found = [
            (named(label, averaged=averaged), named(rival, averaged=averaged), pairs)
            for averaged in (False, True)
            for label, rivals in self.planned_contrasts.items()
            for rival in rivals
            if (pairs := dict(self._pairs(label, rival, averaged=averaged)))
        ]
        adjusted = iter(holm([gain.p_value for *_, pairs in found for gain, _ in pairs.values()]))
        return [
            Contrast(
                name,
                rival,
                {setting: accuracy for setting, (accuracy, _) in pairs.items()},
                {setting: nll for setting, (_, nll) in pairs.items()},
                {setting: next(adjusted) for setting in pairs},
            )
            for name, rival, pairs in found
        ]

    def _pairs(self, label: str, rival: str, *, averaged: bool) -> Iterator[tuple[str, tuple[Difference, Difference]]]:
        """What a method gains on a rival in accuracy and NLL, by setting."""
        for setting in self.settings:
            one, other = (setting.contenders.get(named(name, averaged=averaged)) for name in (label, rival))
            if rival == TUNED:
                other = setting.smoothing(averaged=averaged)
            accuracy, nll = (one.gain(other, score) if one else None for score in ("accuracy", "nll"))
            if accuracy is not None and nll is not None and accuracy.n >= FEWEST_SEEDS:
                yield setting.name, (accuracy, nll)


AVERAGED = ", averaged"


def named(label: str, *, averaged: bool) -> str:
    """The name of a contender."""
    return f"{label}{AVERAGED}" if averaged else label


def setting_of(column: RecordedColumn) -> Setting:
    """The contenders of a column, in the order of its cells."""
    planned = [cell.label for cell in column.cells]
    labels = [label for label in planned if label in column.planned]
    found = [
        Contender(label, averaged, column.planned[label])
        for averaged in (False, True)
        for label in [*labels, *(label for label in column.planned if label not in planned)]
    ]
    return Setting(column.name, {one.name: one for one in found if one.by_seed("accuracy")})


def _other(setting: Setting, one: Contender, against: str) -> Contender | None:
    return (setting.baseline if against == BASELINE else setting.smoothing)(averaged=one.averaged)
