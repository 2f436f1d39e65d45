"""A study of methods in several settings, with last and with averaged weights: gains, and planned contrasts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from osakd.plan import BASELINE, SMOOTHING, TUNED
from osakd.report.statistics.panel import MethodScores, RecordedPanel
from osakd.report.statistics.scores import AVERAGED, LAST, NLL, Measure
from osakd.report.statistics.spread import FEWEST_SEEDS, Difference, holm

HARMLESS = -0.005
"""A method does no harm in a setting where the interval of its gain ends above this."""
OUTPUTS = ("", AVERAGED)
"""The deployed network with its last weights, and with averaged ones."""
Gains = Mapping[str, Difference]
"""Paired differences by setting."""


@dataclass(frozen=True)
class Overall:
    """What a method gains in all settings in test accuracy, each over a baseline with the same kind of weights."""

    name: str
    over_plain: Gains
    over_smoothing: Gains


@dataclass(frozen=True)
class Contrast:
    """A method against another with the same kind of weights, in all settings that have both.

    Attributes:
        baseline: the other, likewise; tuned label smoothing may be another one in each setting.
        adjusted: p-value of the accuracy by setting, after Holm's correction over all contrasts and settings.
    """

    name: str
    baseline: str
    accuracy: Gains
    nll: Gains
    adjusted: Mapping[str, float]


def named(label: str, output: str) -> str:
    """A label, and whether the weights are averaged."""
    return f"{label}, {output}" if output else label


def candidates(panel: RecordedPanel) -> list[MethodScores]:
    """The methods of a panel with their last weights, then those with averaged weights, all compared with plain."""
    rows = [
        MethodScores(panel, label, output, baseline=BASELINE, baseline_output=output)
        for output in OUTPUTS
        for label in panel.scores.runs
    ]
    return [row for row in rows if row.n]


def tuned_smoothing(panel: RecordedPanel, output: str) -> str | None:
    """Label of the best label smoothing by validation accuracy; None where the panel has none."""
    labels = [label for label in panel.scores.runs if label.startswith(SMOOTHING)]
    return panel.scores.best(labels, Measure(split="validation", output=output))


def worst(gains: Gains) -> tuple[str, Difference]:
    """The setting with the smallest gain, and that gain."""
    return min(gains.items(), key=lambda item: item[1].mean)


def mean_gain(gains: Gains) -> float:
    """The mean gain over the settings."""
    return fmean(gain.mean for gain in gains.values())


def is_harmless(gains: Gains) -> bool:
    """Whether the interval of the gain ends above -0.5 points in every setting."""
    return all(gain.low is not None and gain.low > HARMLESS for gain in gains.values())


def overall(panels: Sequence[RecordedPanel]) -> list[Overall]:
    """What each method gains on plain training and on tuned label smoothing; last weights first, then averaged ones."""
    over_plain: dict[tuple[str, str], dict[str, Difference]] = {}
    over_smoothing: dict[tuple[str, str], dict[str, Difference]] = {}
    for panel in panels:
        for row in candidates(panel):
            smoothing = tuned_smoothing(panel, row.output)
            tuned = replace(row, baseline=smoothing) if smoothing else None
            for gains, gain in ((over_plain, row.gain(LAST)), (over_smoothing, tuned and tuned.gain(LAST))):
                if gain is not None:
                    gains.setdefault((row.label, row.output), {})[panel.name] = gain
    keys = sorted(over_plain, key=lambda key: OUTPUTS.index(key[1]))
    return [Overall(named(*key), over_plain[key], over_smoothing.get(key, {})) for key in keys]


def contrasts(panels: Sequence[RecordedPanel]) -> list[Contrast]:
    """The planned contrasts with three common seeds in a setting; Holm's correction over all of them."""
    planned = next((panel.planned.contrasts for panel in panels if panel.planned), {})
    pairs = [
        (named(label, output), named(baseline, output), gains)
        for output in OUTPUTS
        for label, baselines in planned.items()
        for baseline in baselines
        if (gains := dict(_gains(panels, label, baseline, output)))
    ]
    adjusted = iter(holm([accuracy.p_value for *_, gains in pairs for accuracy, _ in gains.values()]))
    return [
        Contrast(
            name,
            baseline,
            {setting: accuracy for setting, (accuracy, _) in gains.items()},
            {setting: nll for setting, (_, nll) in gains.items()},
            {setting: next(adjusted) for setting in gains},
        )
        for name, baseline, gains in pairs
    ]


def _gains(
    panels: Sequence[RecordedPanel], label: str, baseline: str, output: str
) -> Iterator[tuple[str, tuple[Difference, Difference]]]:
    """What a method gains on another in accuracy and NLL, by setting."""
    for panel in panels:
        other = tuned_smoothing(panel, output) if baseline == TUNED else baseline
        accuracy, nll = (
            panel.scores.gain(label, other or "", replace(measure, output=output)) for measure in (LAST, NLL)
        )
        if accuracy is not None and nll is not None and accuracy.n >= FEWEST_SEEDS:
            yield panel.name, (accuracy, nll)
