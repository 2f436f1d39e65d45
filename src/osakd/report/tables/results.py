"""The results of a panel: a comparison; accuracies beside the paper's, calibration and cost, learning curves."""

from collections.abc import Sequence
from functools import partial

from osakd.plan import BASELINE
from osakd.report.statistics.format import nats, percent, with_less
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

_INTERVAL = "[95 % CI]"


def _cost(measure: Measure, row: MethodScores) -> str:
    """A cost of a run, in the row of the deployed network; none where several runs were measured together."""
    together = any(str(run.result.environment.get("executor")).startswith("fused") for run in row.runs)
    cost = None if row.output or together else row.spread(measure)
    return f"{cost.mean:.1f}" if cost else "-"


METHOD = Column[MethodScores]("method", lambda row: row.name, is_text=True)
N = Column[MethodScores]("n", lambda row: str(row.n))
N_LESS = Column[MethodScores]("n", lambda row: with_less(str(row.n), row.shortfall))
_EPOCHS = Column[MethodScores]("epochs", lambda row: str(row.runs[0].config.epochs) if row.n else "-")
_BEST = Column[MethodScores]("best on test %", lambda row: percent(row.spread(BEST)))
_BEST_OR_NOT_RUN = Column[MethodScores](_BEST.head, lambda row: _BEST.cell(row) if row.n else "not run")
_PAPER = Column[MethodScores](
    "paper %", lambda row: f"{row.published.mean:.2f} ± {row.published.std:.2f}" if row.published else "-"
)
_VERDICT = Column[MethodScores]("verdict", lambda row: row.verdict, is_text=True)
_LAST = Column[MethodScores]("last epoch %", lambda row: percent(row.spread(LAST)))
_CHOSEN = Column[MethodScores]("chosen on validation %", lambda row: percent(row.spread(CHOSEN)))
_BEST_GAIN = Column[MethodScores](f"best vs {BASELINE} {_INTERVAL}", lambda row: row.difference(BEST))
_LAST_GAIN = Column[MethodScores](f"last vs {BASELINE} {_INTERVAL}", lambda row: row.difference(LAST))
_NLL = Column[MethodScores]("NLL", lambda row: nats(row.spread(NLL)))
_ECE = Column[MethodScores]("ECE %", lambda row: percent(row.spread(ECE)))
_DEPLOYED = Column[MethodScores]("accuracy %", lambda row: percent(row.spread(DEPLOYED)))
_DEPLOYED_GAIN = Column[MethodScores](f"vs {BASELINE} {_INTERVAL}", lambda row: row.difference(DEPLOYED))
_DEPLOYED_NLL = Column[MethodScores]("NLL", lambda row: nats(row.spread(DEPLOYED_NLL)))
_DEPLOYED_ECE = Column[MethodScores]("ECE %", lambda row: percent(row.spread(DEPLOYED_ECE)))
_STEP = Column[MethodScores]("step ms", partial(_cost, STEP))
_MEMORY = Column[MethodScores]("MiB", partial(_cost, MEMORY))
_COST_NOTE = " Time of a training step and peak memory: of runs that were made alone."


def paper_table(panel: RecordedPanel) -> Table[MethodScores]:
    """A panel of a table of the paper: the planned methods beside the paper's numbers."""
    best = _best(panel)
    n = N if _VERDICT in best else N_LESS
    return Table("Ours and the paper's", (METHOD, n, _EPOCHS, *best, _BEST_GAIN, _LAST), _planned(panel))


def accuracy_table(panel: RecordedPanel) -> Table[MethodScores]:
    """Everything that is recorded of a panel of an experiment, beside the paper's numbers where it has some."""
    best = _best(panel)
    planned = {method.label for method in panel.planned_methods}
    rows = [*_planned(panel), *(row for row in panel.methods if row.name not in planned)]
    note = "Best on test is chosen on the test set" + (", the paper's protocol" if _PAPER in best else "")
    note += "; the last epoch and what validation chose are not."
    if any("first_epochs" in run.config.settings for run in panel.finished):
        note += " Epochs: of the last stage."
    return Table(
        "Test accuracy",
        (METHOD, N, _EPOCHS, *best, _BEST_GAIN, _LAST, _LAST_GAIN, *_filled([_CHOSEN], rows)),
        rows,
        f"{note} {panel.other_baselines}".rstrip(),
        lambda row: row.name if row.output else row.label,
    )


def _filled(columns: Sequence[Column[MethodScores]], rows: Sequence[MethodScores]) -> list[Column[MethodScores]]:
    """The columns of which a cell is not empty."""
    return [column for column in columns if any(column.cell(row) != "-" for row in rows)]


def _planned(panel: RecordedPanel) -> list[MethodScores]:
    return [panel.scores_of(method.label, mean_with=method.averaged) for method in panel.planned_methods]


def _best(panel: RecordedPanel) -> Sequence[Column[MethodScores]]:
    """The best accuracies, beside the paper's where it has some."""
    published = any(method.published for method in panel.planned_methods)
    return (_BEST, _PAPER, _VERDICT) if published else (_BEST_OR_NOT_RUN,)


def score_table(panel: RecordedPanel) -> Table[MethodScores]:
    """Calibration of the last epoch, and what a run cost."""
    costs = _filled([_STEP, _MEMORY], panel.methods)
    note = f"Of the last epoch on the test images.{_COST_NOTE if costs else ''}"
    return Table("Calibration and cost", (METHOD, N, _NLL, _ECE, *costs), panel.methods, note, lambda row: row.label)


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
    costs = _filled([_STEP, _MEMORY], panel.methods)
    columns = (METHOD, N, _DEPLOYED, _DEPLOYED_GAIN, _DEPLOYED_NLL, _DEPLOYED_ECE, *costs)
    note = f"Of the deployed network on the test images.{_COST_NOTE if costs else ''}"
    return Table("Accuracy, calibration and cost", columns, panel.methods, note, lambda row: row.label)
