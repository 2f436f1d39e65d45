"""Scores over seeds: which number of a run, and of a method its mean, its deviation and its paired differences."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import fmean, stdev
from typing import Literal

from osakd.report.statistics.spread import Difference, Spread, paired_difference, spread
from osakd.runs import Curve, FinishedRun, RunRecord, Series

LAST_EPOCHS = 10
"""Number of epochs over which the stability of a run is measured."""
AVERAGED = "averaged"
"""The output of a network whose weights are averaged along training."""


_OVER_EPOCHS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "std_of_last_epochs": lambda accuracies: stdev(accuracies[-LAST_EPOCHS:]) if len(accuracies) > 1 else 0.0,
    "drop": lambda accuracies: max(accuracies) - accuracies[-1],
}
_COSTS = ("step_ms", "memory_mib")


@dataclass(frozen=True)
class Measure:
    """Which number of a run.

    Attributes:
        metric: ``accuracy`` or ``ece`` (0 to 1), ``nll`` (nats), or another quantity of a learning curve; ``epoch``:
            which epoch ``at`` is; ``std_of_last_epochs`` and ``drop`` (the best minus the last): of the accuracies of
            all epochs; ``seconds``, ``step_ms`` and ``memory_mib``: of the whole run.
        split: the images that are scored; of soft labels, ``train``.
        at: the first or the last epoch, that of the best accuracy on the split, or that of the best accuracy on the
            validation images; ``deployed``: of the deployed network, which other outputs have at the last epoch.
        output: an output beside the deployed network's: ``averaged``, a branch, an ensemble; empty for that network.
        mean_with: outputs that are averaged with it in each epoch.
    """

    metric: str = "accuracy"
    split: Literal["test", "validation", "train"] = "test"
    at: Literal["first", "last", "best", "by_validation", "deployed"] = "last"
    output: str = ""
    mean_with: tuple[str, ...] = ()

    def of(self, run: FinishedRun) -> float | None:
        """The number; None where the run has not recorded it."""
        if self.metric == "seconds":
            return run.result.seconds
        if self.metric in _COSTS:
            return (run.result.cost or {}).get(self.metric)
        if self.at == "deployed" and not self.output and not self.mean_with:
            return _known(run.result.deployed_scores(self.split).get(self.metric))
        over_epochs = _OVER_EPOCHS.get(self.metric)
        metric = "accuracy" if over_epochs or self.metric == "epoch" else self.metric
        epochs, values = self._series(run.curve, self.split, metric)
        if len(values) == 0:
            return None
        if over_epochs:
            return over_epochs(values)
        epoch = self._epoch(run.curve, epochs)
        if epoch not in epochs:
            return None
        return epoch if self.metric == "epoch" else _known(values[epochs.index(epoch)])

    def _epoch(self, curve: Curve, epochs: Sequence[int]) -> int | None:
        if self.at in ("first", "last", "deployed"):
            return epochs[0 if self.at == "first" else -1]
        scored, accuracies = self._series(curve, "validation" if self.at == "by_validation" else self.split, "accuracy")
        return scored[accuracies.index(max(accuracies))] if len(accuracies) else None

    def _series(self, curve: Curve, split: str, metric: str) -> Series:
        prefixes = [f"others.{name}." if name else "" for name in (self.output, *self.mean_with)]
        first, *others = [curve.get(f"{prefix}{split}.{metric}") for prefix in prefixes]
        if not others:
            return first
        values = zip(first.values, *(series.values for series in others), strict=False)
        return Series(first.epochs, [fmean(of_epoch) for of_epoch in values])


def _known(value: float | None) -> float | None:
    return None if value is None or isnan(value) else value


LAST, BEST, CHOSEN = Measure(), Measure(at="best"), Measure(at="by_validation")
"""Test accuracies: of the last epoch, of the best epoch on the test images, of the epoch that validation chooses."""
DEPLOYED, DEPLOYED_NLL, DEPLOYED_ECE = (Measure(name, at="deployed") for name in ("accuracy", "nll", "ece"))
"""Scores of the deployed network on the test images."""
VALIDATION = Measure(split="validation", at="best")
NLL, ECE = Measure("nll"), Measure("ece")
STEP, MEMORY = Measure("step_ms"), Measure("memory_mib")
QUANTITIES = {
    "deployed": DEPLOYED,
    "deployed_nll": DEPLOYED_NLL,
    "deployed_ece": DEPLOYED_ECE,
    "last": LAST,
    "best_on_test": BEST,
    "best_epoch": Measure("epoch", at="best"),
    "nll": NLL,
    "ece": ECE,
    "step_ms": STEP,
    "memory_mib": MEMORY,
    "validation": VALIDATION,
    "chosen_on_validation": CHOSEN,
}
"""The numbers of each run that ``summary.json`` and ``tables.csv`` hold, by their names there."""


class Scores:
    """Finished runs, and their numbers over seeds.

    Of the runs of a label those with the most epochs count: a shorter run is not a repetition of a longer one. Labels
    may differ in their epochs: a method with stages shares them out. Of two runs with the same label and seed the later
    one counts.

    Attributes:
        runs: the runs that count, by label and seed.
        shorter: the finished runs that do not count, for they are shorter than others of their label.
    """

    def __init__(self, runs: Iterable[RunRecord]) -> None:
        finished = [run for run in runs if isinstance(run, FinishedRun)]
        epochs: dict[str, int] = {}
        for run in finished:
            epochs[run.label] = max(run.config.epochs, epochs.get(run.label, 0))
        self.shorter = [run for run in finished if run.config.epochs < epochs[run.label]]
        self.runs: dict[str, dict[int, FinishedRun]] = {}
        for run in finished:
            if run.config.epochs == epochs[run.label]:
                self.runs.setdefault(run.label, {})[run.seed] = run
        self._values: dict[tuple[str, Measure], dict[int, float]] = {}

    def by_seed(self, label: str, measure: Measure) -> dict[int, float]:
        """A number of each run of a label that has recorded it, by seed."""
        known = self._values.get((label, measure))
        if known is None:
            values = {seed: measure.of(run) for seed, run in self.runs.get(label, {}).items()}
            known = {seed: value for seed, value in values.items() if value is not None}
            self._values[label, measure] = known
        return known

    def spread(self, label: str, measure: Measure) -> Spread | None:
        """Mean and standard deviation over the seeds; None where a run of the label has not recorded the number."""
        values = self.by_seed(label, measure)
        return spread(list(values.values())) if values and len(values) == len(self.runs[label]) else None

    def gain(
        self,
        label: str,
        baseline: str,
        measure: Measure,
        *,
        over: Measure | None = None,
        without: Collection[int] = (),
    ) -> Difference | None:
        """A label's number minus a baseline's, paired by seed; None where they have no seed in common.

        ``over`` is the baseline's number, where that is another one; the seeds ``without`` do not count.
        """
        ours, theirs = self.by_seed(label, measure), self.by_seed(baseline, over or measure)
        seeds = [seed for seed in ours if seed in theirs and seed not in without]
        return paired_difference([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]) if seeds else None

    def best(self, labels: Iterable[str], measure: Measure) -> str | None:
        """The label with the highest mean over the seeds that have the number; None where none has it."""
        values = {label: list(self.by_seed(label, measure).values()) for label in labels}
        means = {label: fmean(of_label) for label, of_label in values.items() if of_label}
        return max(means, key=means.__getitem__, default=None)
