"""The study of the readings: the scores of a run at the epoch that validation chooses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.pooled import smaller_runs
from osakd.report.statistics.runs import Curve, FinishedRun
from osakd.report.statistics.spread import Difference, Spread, paired_by_seed, spread

LAST_EPOCHS = 10
"""Number of epochs over which the stability of a run is measured."""


@dataclass(frozen=True)
class Reading:
    """The scores of a run at the epoch of its best validation accuracy; shares, NLL in nats.

    Attributes:
        validation: best validation accuracy.
        validation_nll: NLL on the validation images at that epoch.
        validation_ece: ECE on the validation images at that epoch.
        test: test accuracy at that epoch.
        best_on_test: best test accuracy over the epochs.
        last: test accuracy of the last epoch.
        std_of_last_epochs: standard deviation of the test accuracy over the last 10 epochs.
        counted: number of epochs that it is taken over, where there are fewer.
    """

    validation: float
    validation_nll: float
    validation_ece: float
    test: float
    best_on_test: float
    last: float
    std_of_last_epochs: float
    counted: int


@dataclass(frozen=True)
class CellReadings:
    """A cell of a study.

    Attributes:
        label: label of the cell.
        runs: its runs by seed.
        baseline: label of the cell that it is compared with.
        gain: paired difference of the validation accuracies to that; None of the cell to itself.
        smaller: what is smaller than planned, as a list.
    """

    label: str
    runs: Mapping[int, FinishedRun]
    baseline: str
    gain: Difference | None
    smaller: str

    @cached_property
    def readings(self) -> dict[int, Reading]:
        """The reading of each of its runs."""
        return {seed: reading_of(run.curve) for seed, run in self.runs.items()}

    @property
    def n(self) -> int:
        """Number of its runs."""
        return len(self.runs)

    @property
    def counted(self) -> int:
        """The fewest epochs over which the stability of one of its runs is measured."""
        return min(one.counted for one in self.readings.values())

    def spread(self, key: str) -> Spread:
        """Mean and standard deviation of a score."""
        return spread([getattr(one, key) for one in self.readings.values()])

    def by_seed(self, key: str) -> dict[int, float]:
        """A score for each seed."""
        return {seed: getattr(one, key) for seed, one in self.readings.items()}


def reading_of(curve: Curve) -> Reading:
    """The reading of a learning curve with a validation split."""
    validation, nll, ece = (curve.get(f"validation.{key}") for key in ("accuracy", "nll", "ece"))
    tested = curve.get("test.accuracy")
    by_epoch = dict(zip(tested.epochs, tested.values, strict=True))
    tests = [by_epoch[epoch] for epoch in validation.epochs]
    chosen = max(range(len(tests)), key=validation.values.__getitem__)
    return Reading(
        validation=validation.values[chosen],
        validation_nll=nll.values[chosen],
        validation_ece=ece.values[chosen],
        test=tests[chosen],
        best_on_test=max(tests),
        last=tests[-1],
        std_of_last_epochs=std_of_last_epochs(tests),
        counted=min(LAST_EPOCHS, len(tests)),
    )


def std_of_last_epochs(accuracies: Sequence[float]) -> float:
    """Standard deviation of the accuracy over the last 10 epochs, or those that there are.

    Example:
        >>> round(std_of_last_epochs([0.1, 0.5, 0.6]), 3)
        0.265
    """
    last = accuracies[-LAST_EPOCHS:]
    return stdev(last) if len(last) > 1 else 0.0


def cell_readings(column: RecordedColumn) -> list[CellReadings]:
    """The cells of a column whose runs have a validation split.

    Those with the most seeds come first, for seeds differ as much as cells do; of these the best mean first.
    """
    runs = column.planned
    scores = {label: {seed: _validation(run) for seed, run in ones.items()} for label, ones in runs.items()}
    cells = []
    for label, ones in runs.items():
        baseline = column.baseline_of(label)
        gain = paired_by_seed(scores[label], scores.get(baseline, {})) if baseline != label else None
        cells.append(CellReadings(label, ones, baseline, gain, smaller_runs(column.plan, ones.values(), len(ones))))
    return sorted(cells, key=lambda cell: (-cell.n, -fmean(scores[cell.label].values())))


def _validation(run: FinishedRun) -> float:
    """The best validation accuracy of a run."""
    return max(run.curve.get("validation.accuracy").values)
