"""The results of a panel: accuracies beside the paper's, calibration and cost, learning curves; a comparison."""

from collections.abc import Sequence
from functools import partial
from statistics import fmean

from osakd.plan import BASELINE
from osakd.report.statistics.format import nats, percent, points, with_less
from osakd.report.statistics.panel import MethodScores, RecordedPanel
from osakd.report.statistics.scores import (
    BEST,
    CHOSEN,
    DEPLOYED,
    DEPLOYED_ECE,
    DEPLOYED_NLL,
    ECE,
    LAST,
    MEMORY,
    NLL,
    STEP,
    Measure,
)
from osakd.report.statistics.trends import ACCURACY, trends
from osakd.report.tables.table import Column, Table
from osakd.runs import FinishedRun

_INTERVAL = "[95 % CI]"


def _published(row: MethodScores) -> str:
    return f"{row.published.mean:.2f} ± {row.published.std:.2f}" if row.published else "-"


def _gain(measure: Measure, row: MethodScores) -> str:
    return points(row.gain(measure), row.n)


def _of_run(measure: Measure, row: MethodScores) -> str:
    """A cost of a run, which is in the row of the deployed network."""
    cost = None if row.output else row.spread(measure)
    return f"{cost.mean:.1f}" if cost else "-"


METHOD = Column[MethodScores]("method", lambda row: row.name, is_text=True)
N = Column[MethodScores]("n", lambda row: str(row.n))
N_LESS = Column[MethodScores]("n", lambda row: with_less(str(row.n), row.shortfall))
_EPOCHS = Column[MethodScores]("epochs", lambda row: str(row.runs[0].config.epochs) if row.n else "-")
_BEST = Column[MethodScores]("best on test %", lambda row: percent(row.spread(BEST)))
_BEST_OR_NOT_RUN = Column[MethodScores](_BEST.head, lambda row: _BEST.cell(row) if row.n else "not run")
_PAPER = Column[MethodScores]("paper %", _published)
_VERDICT = Column[MethodScores]("verdict", lambda row: row.verdict, is_text=True)
_LAST = Column[MethodScores]("last epoch %", lambda row: percent(row.spread(LAST)))
_CHOSEN = Column[MethodScores]("chosen on validation %", lambda row: percent(row.spread(CHOSEN)))
_BEST_GAIN = Column[MethodScores](f"best vs {BASELINE} {_INTERVAL}", partial(_gain, BEST))
_LAST_GAIN = Column[MethodScores](f"last vs {BASELINE} {_INTERVAL}", partial(_gain, LAST))
_NLL = Column[MethodScores]("NLL", lambda row: nats(row.spread(NLL)))
_ECE = Column[MethodScores]("ECE %", lambda row: percent(row.spread(ECE)))
_DEPLOYED = Column[MethodScores]("accuracy %", lambda row: percent(row.spread(DEPLOYED)))
_DEPLOYED_GAIN = Column[MethodScores](f"vs {BASELINE} {_INTERVAL}", partial(_gain, DEPLOYED))
_DEPLOYED_NLL = Column[MethodScores]("NLL", lambda row: nats(row.spread(DEPLOYED_NLL)))
_DEPLOYED_ECE = Column[MethodScores]("ECE %", lambda row: percent(row.spread(DEPLOYED_ECE)))
_STEP = Column[MethodScores]("step ms", partial(_of_run, STEP))
_MEMORY = Column[MethodScores]("MiB", partial(_of_run, MEMORY))


def paper_table(panel: RecordedPanel) -> Table[MethodScores]:
    """A panel of a table of the paper: the planned methods beside the paper's numbers."""
    best = _best(panel)
    n = N if _VERDICT in best else N_LESS
    return Table("Ours and the paper's", (METHOD, n, _EPOCHS, *best, _BEST_GAIN, _LAST), _planned(panel))


def accuracy_table(panel: RecordedPanel) -> Table[MethodScores]:
    """Everything that is recorded of a panel, beside the paper's numbers where it has some."""
    if not panel.experiment:
        columns = (METHOD, N, _EPOCHS, _DEPLOYED, _DEPLOYED_GAIN)
        return Table("Test accuracy", columns, panel.methods, "Of the deployed network.", lambda row: row.label)
    best = _best(panel)
    planned = {method.label for method in panel.planned_methods}
    others = [row for row in panel.methods if row.name not in planned]
    note = "Best on test is chosen on the test set" + (", the paper's protocol" if _PAPER in best else "")
    note += "; the last epoch and what validation chose are not."
    if any("first_epochs" in run.config.settings for run in panel.finished):
        note += " Epochs: of the last stage."
    return Table(
        "Test accuracy",
        (METHOD, N, _EPOCHS, *best, _LAST, _CHOSEN, _BEST_GAIN, _LAST_GAIN),
        [*_planned(panel), *others],
        f"{note} {panel.other_baselines}".rstrip(),
        lambda row: row.name if row.output else row.label,
    )


def _planned(panel: RecordedPanel) -> list[MethodScores]:
    return [panel.scores_of(method.label, mean_with=method.averaged) for method in panel.planned_methods]


def _best(panel: RecordedPanel) -> Sequence[Column[MethodScores]]:
    """The best accuracies, beside the paper's where it has some."""
    published = any(method.published for method in panel.planned_methods)
    return (_BEST, _PAPER, _VERDICT) if published else (_BEST_OR_NOT_RUN,)


def score_table(panel: RecordedPanel) -> Table[MethodScores]:
    """Calibration of the last epoch, and what a run cost."""
    of_network = (_NLL, _ECE) if panel.experiment else (_DEPLOYED_NLL, _DEPLOYED_ECE)
    network = "last epoch" if panel.experiment else "deployed network"
    note = f"Scores of the {network} on the test set. Seconds of a whole run, its share where runs are fused, "
    note += "without the stages before it"
    seconds = Column[MethodScores]("seconds", _seconds)
    columns = [METHOD, N, *of_network, seconds]
    if any(row.spread(STEP) for row in panel.methods):
        columns += [_STEP, Column[MethodScores]("x plain", _times_plain), _MEMORY]
        note += "; step: the median time of a training step, its share where runs are fused; x plain: "
        note += "of runs made alone, with plain training's batch size; MiB: peak memory of a run"
    return Table("Calibration and cost", columns, panel.methods, f"{note}.", lambda row: row.label)


def _seconds(row: MethodScores) -> str:
    return "-" if row.output else f"{fmean(run.result.seconds for run in row.runs):,.0f}"


def _times_plain(row: MethodScores) -> str:
    """A step's time over plain training's, where every run had a program of its own, all with one batch size."""
    plain = MethodScores(row.panel, BASELINE)
    step, reference = row.spread(STEP), plain.spread(STEP)
    if row.output or not step or not reference or not _is_alone([*row.runs, *plain.runs]):
        return "-"
    return f"{step.mean / reference.mean:.2f}"


def _is_alone(runs: Sequence[FinishedRun]) -> bool:
    fused = any(str(run.result.environment.get("executor")).startswith("fused") for run in runs)
    return not fused and len({run.config.batch_size for run in runs}) == 1


def epochs_table(panel: RecordedPanel) -> Table[MethodScores]:
    """The learning curves in numbers: the mean test accuracy at five epochs, and where it is best."""
    means = {trend.label: dict(zip(trend.epochs, trend.mean, strict=True)) for trend in trends(panel.curves, ACCURACY)}
    shown = sorted({max(1, panel.epochs * part // 5) for part in range(1, 6)}) if panel.finished else []

    def at(epoch: int, row: MethodScores) -> str:
        return f"{means[row.label][epoch]:.2f}" if epoch in means[row.label] else "-"

    def best(row: MethodScores) -> str:
        epoch = max(means[row.label], key=means[row.label].__getitem__)
        return f"{means[row.label][epoch]:.2f} ({epoch})"

    columns = [Column[MethodScores](f"epoch {epoch}", partial(at, epoch)) for epoch in shown]
    best_mean = Column[MethodScores]("best mean (at)", best)
    return Table("Mean test accuracy over the epochs", [METHOD, N_LESS, *columns, best_mean], panel.deployed)


def comparison_table(panel: RecordedPanel) -> Table[MethodScores]:
    """The table of a comparison: deployed networks on the test images, mean ± standard deviation over seeds."""
    methods = panel.methods
    costs = (_STEP, _MEMORY) if all(row.spread(STEP) for row in methods) else ()
    columns = (METHOD, N, _DEPLOYED, _DEPLOYED_GAIN, _DEPLOYED_NLL, _DEPLOYED_ECE, *costs)
    return Table("Comparison", columns, methods)
