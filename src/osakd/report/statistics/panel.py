"""A panel as it is recorded: its runs, what was planned, and the scores of each of its methods."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

from osakd.methods.registry import run_notes
from osakd.plan import BASELINE, Experiment, Panel, PanelMethod, Published
from osakd.report.statistics.format import IDENTICAL, points, with_less
from osakd.report.statistics.scores import AVERAGED, BEST, DEPLOYED, LAST, VALIDATION, Measure, Scores
from osakd.report.statistics.spread import Difference, Spread, welch_sign
from osakd.runs import Curve, FinishedRun, RunRecord

PAPER_RUNS = 5
IDLE = 1e-4
"""Share of the loss below which soft labels change no more than rounding does."""
_PAPER_WORDS = {None: "too few runs", 0: "reproduced", 1: "better", -1: "worse"}


@dataclass(frozen=True)
class RecordedPanel:
    """What is recorded of a panel of an experiment, or of a comparison.

    Attributes:
        place: name of the folder above, such as ``table1``; of a run alone, ``run``.
        experiment: the experiment that it belongs to; None for a comparison that a user made.
        planned: the panel as it was planned; None for a comparison that a user made.
    """

    place: str
    name: str
    runs: tuple[RunRecord, ...]
    experiment: Experiment | None = None
    planned: Panel | None = None

    @cached_property
    def scores(self) -> Scores:
        """The scores of its runs."""
        return Scores(self.runs)

    @cached_property
    def finished(self) -> list[FinishedRun]:
        """The runs that the scores are of."""
        return [run for runs in self.scores.runs.values() for run in runs.values()]

    @property
    def curves(self) -> dict[str, list[Curve]]:
        """The learning curves of its finished runs by label."""
        return {label: [run.curve for run in runs.values()] for label, runs in self.scores.runs.items()}

    @cached_property
    def methods(self) -> "list[MethodScores]":
        """The scores of each method, and of the other outputs of its runs: averaged weights, branches, ensembles."""
        firsts = {label: next(iter(runs.values())) for label, runs in self.scores.runs.items()}
        return [
            self.scores_of(label, output)
            for label, run in firsts.items()
            for output in ("", *run.result.last.get("others", {}))
            if self.experiment or output != AVERAGED  # a user's network is deployed with averaged weights or without
        ]

    @property
    def accuracies(self) -> tuple[Measure, ...]:
        """The test accuracies that count: of the deployed network, or as the papers have them."""
        return (LAST, BEST) if self.experiment else (DEPLOYED,)

    @property
    def deployed(self) -> "list[MethodScores]":
        """The scores of the deployed networks alone."""
        return [method for method in self.methods if not method.output]

    @property
    def ranked(self) -> "list[MethodScores]":
        """The deployed networks by validation accuracy.

        Those with the most seeds come first, for seeds differ as much as methods do; of these the best mean first.
        """

        def key(method: MethodScores) -> tuple[int, float]:
            validation = method.spread(VALIDATION)
            return -method.n, -validation.mean if validation else 0.0

        return sorted(self.deployed, key=key)

    @property
    def planned_methods(self) -> tuple[PanelMethod, ...]:
        """The methods that were planned."""
        return self.planned.methods if self.planned else ()

    @property
    def view(self) -> str:
        """How its experiment is shown; empty for a comparison that a user made."""
        return self.experiment.view if self.experiment else ""

    @property
    def by_validation(self) -> bool:
        """Whether validation decides: it was planned so, and every run has held images out."""
        return self.view == "validation" and bool(self.methods) and all(row.spread(VALIDATION) for row in self.methods)

    @property
    def note(self) -> str:
        """What every reader should know of it, as a sentence; empty for nothing."""
        return f"{self.planned.note}." if self.planned and self.planned.note else ""

    @property
    def epochs(self) -> int:
        """The most epochs of its finished runs: methods with stages may share them out; 0 where there are no runs."""
        return max((run.config.epochs for run in self.finished), default=0)

    @property
    def fraction(self) -> float:
        """The share of the training images that was used."""
        return self.finished[0].config.fraction if self.finished else 1.0

    @cached_property
    def title(self) -> str:
        """The line over its tables: what was compared on what; empty where no run has finished."""
        if not self.finished:
            return ""
        data = self.finished[0].config.data
        channels, height, width = data["input_shape"]
        images = f"{data['train']:,} + {data['test']:,} images, {height}x{width}x{channels}"
        return self.caption(f"{data['name']} ({images}, content {data['content'][:8]})")

    def caption(self, name: str = "") -> str:
        """What was compared on what, in the words of a paper's figure; ``name`` stands for that of the images."""
        config = self.finished[0].config
        share = f", {100 * config.fraction:g} % of the training images" if config.fraction < 1 else ""
        return f"{name or config.data['name']}, {config.model}, {self.epochs} epoch{'s' * (self.epochs > 1)}{share}"

    @cached_property
    def notes(self) -> list[str]:
        """The notes of its methods and runs, each once, and which runs do not count."""
        notes: list[str] = []
        for run in self.finished:
            notes += [*run_notes(run.config), *(f"Note: {note}" for note in run.result.notes)]
        return [*dict.fromkeys(notes), *self.shorter_runs]

    @property
    def shorter_runs(self) -> list[str]:
        """A sentence for each other length among the finished runs: how many do not count, and which."""
        shorter: dict[int, list[str]] = {}
        for run in self.scores.shorter:
            shorter.setdefault(run.config.epochs, []).append(run.folder.name)
        return [
            f"{len(names)} run{'s' * (len(names) > 1)} of another length ({epochs} epoch{'s' * (epochs > 1)}) "
            f"{'are' if len(names) > 1 else 'is'} left out: {', '.join(names)}"
            for epochs, names in shorter.items()
        ]

    @property
    def missing(self) -> str:
        """How many of the planned runs are missing, such as ``3 of 10 runs``; empty where none is.

        More seeds of one method do not make up for those of another.
        """
        seeds = self.planned.seeds if self.planned else 0
        recorded = [self.scores_of(method.label, mean_with=method.averaged).n for method in self.planned_methods]
        number = sum(max(0, seeds - n) for n in recorded)
        return f"{number} of {seeds * len(recorded)} runs" if number else ""

    @property
    def other_baselines(self) -> str:
        """Which recorded methods are not compared with plain training, as a sentence; empty where all are."""
        pairs = [
            f"{method.label} to {method.baseline}"
            for method in self.planned_methods
            if method.baseline != BASELINE and method.label in self.scores.runs
        ]
        return f"Differences not to {BASELINE}: {', '.join(pairs)}." if pairs else ""

    def scores_of(self, label: str, output: str = "", mean_with: tuple[str, ...] = ()) -> "MethodScores":
        """The scores of a method, which may have no runs, beside what was planned to compare it with."""
        planned = next((method for method in self.planned_methods if method.label == label), None)
        if planned is None:
            return MethodScores(self, label, output, mean_with)
        return MethodScores(self, label, output, mean_with, planned.baseline, published=planned.published)

    def find(self, label: str) -> "MethodScores | None":
        """The scores of a method's deployed network; None where it has no finished run."""
        return self.scores_of(label) if label in self.scores.runs else None


@dataclass(frozen=True)
class MethodScores:
    """The scores of a method in a panel, beside what it is compared with: what a row of a table is of.

    Attributes:
        label: label of the method; it may have no runs.
        output: which output of its runs is scored, as in ``Measure``.
        mean_with: outputs that are averaged with it, as in ``Measure``.
        baseline: label of what it is compared with.
        baseline_output: which output of that is scored.
        published: the paper's number; None where it has none.
        without: seeds that do not count in comparisons.
    """

    panel: RecordedPanel
    label: str
    output: str = ""
    mean_with: tuple[str, ...] = ()
    baseline: str = BASELINE
    baseline_output: str = ""
    published: Published | None = None
    without: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The label, and which output or mean of outputs it is."""
        if self.mean_with:
            return f"{self.label} (mean of {1 + len(self.mean_with)} branches)"
        return f"{self.label}: {self.output}" if self.output else self.label

    @property
    def runs(self) -> list[FinishedRun]:
        """Its runs."""
        return list(self.panel.scores.runs.get(self.label, {}).values())

    @property
    def n(self) -> int:
        """Number of its runs that have the output."""
        return len(self.by_seed(LAST))

    @property
    def shortfall(self) -> str:
        """What of its runs falls short of the plan, as a list; empty for nothing."""
        return shortfall(self.panel.planned, self.runs, self.n) if self.n else ""

    @property
    def beside_paper(self) -> str:
        """How its best accuracies compare with the paper's number: by a t test (Welch) with 95 % confidence."""
        if self.published is None:
            return "not in the paper"
        values = [100 * value for value in self.by_seed(BEST).values()]
        return _PAPER_WORDS[welch_sign(values, self.published.mean, self.published.std, PAPER_RUNS)]

    @property
    def verdict(self) -> str:
        """How it compares with the paper's number, and what falls short of the plan."""
        return with_less(self.beside_paper, self.shortfall) if self.n else "not run"

    def of(self, measure: Measure) -> Measure:
        """A measure of its output."""
        return replace(measure, output=self.output, mean_with=self.mean_with)

    def by_seed(self, measure: Measure) -> dict[int, float]:
        """A number of its runs by seed."""
        return self.panel.scores.by_seed(self.label, self.of(measure))

    def spread(self, measure: Measure) -> Spread | None:
        """Mean and standard deviation of a number over its seeds."""
        return self.panel.scores.spread(self.label, self.of(measure))

    @property
    def is_idle(self) -> bool:
        """Whether its soft labels had no part in the loss of any epoch: plain training but for rounding."""
        shares = [run.curve.get("train.soft_share").values for run in self.runs]
        return bool(shares) and all(len(of_run) and max(of_run) < IDLE for of_run in shares)

    def same(self, other: "MethodScores | None" = None) -> str:
        """In words, whether it trained the networks of another method, told by the test NLL of every epoch."""
        other = other or self.panel.scores_of(self.baseline, self.baseline_output)
        if self.label == other.label or self.output != other.output:
            return ""
        theirs = {run.seed: run.curve.get("test.nll") for run in other.runs}
        pairs = [(run.curve.get("test.nll"), theirs[run.seed]) for run in self.runs if run.seed in theirs]
        if pairs and all(len(ours.values) and ours == curve for ours, curve in pairs):
            return IDENTICAL
        return f"{IDENTICAL} but for rounding" if other.label == BASELINE and self.is_idle else ""

    def gain(self, measure: Measure, other: "MethodScores | None" = None) -> Difference | None:
        """A number minus that of another method, by default of what it is compared with.

        None where that is itself, or trained the same networks, or has no seed in common.
        """
        if (other is None and self.label == self.baseline) or self.same(other):
            return None
        other = other or self.panel.scores_of(self.baseline, self.baseline_output)
        over = replace(measure, output=other.output)
        return self.panel.scores.gain(self.label, other.label, self.of(measure), over=over, without=self.without)

    def difference(self, measure: Measure) -> str:
        """The gain in points, with the number of pairs where that is another than of its runs; or why there is none."""
        return self.same() or points(self.gain(measure), self.n)


def shortfall(planned: Panel | None, runs: Collection[FinishedRun], seeds: int, *, without: int = 0) -> str:
    """What of some runs falls short of the plan, as a list; empty where nothing does, or nothing was planned.

    ``seeds`` are compared; ``without`` is the number of planned seeds that do not count on purpose.
    """
    if planned is None:
        return ""
    wanted = planned.seeds - without
    epochs, fraction = min(run.config.epochs for run in runs), min(run.config.fraction for run in runs)
    less = [f"{seeds} of {wanted} seeds"] * (seeds < wanted)
    less += [f"{epochs} of {planned.epochs} epochs"] * (epochs < planned.epochs)
    less += [f"{100 * fraction:g} % of the images"] * (fraction < planned.fraction)
    return ", ".join(less)
