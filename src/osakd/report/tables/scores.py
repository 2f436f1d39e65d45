"""The table of calibration and cost."""

from collections.abc import Sequence
from statistics import fmean

from osakd.plan import BASELINE
from osakd.report.statistics.aggregate import MethodSummary
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.runs import FinishedRun
from osakd.report.tables.accuracy import ECE, MEMORY, NLL, STEP
from osakd.report.tables.table import Column, Table


def score_table(column: RecordedColumn) -> Table[MethodSummary]:
    """Calibration of the last epoch, and what a run cost."""
    runs: dict[str, list[FinishedRun]] = {}
    for run in column.pooled:
        runs.setdefault(run.label, []).append(run)
    plain = column.find(BASELINE)

    def seconds(method: MethodSummary) -> str:
        if method.predictor is not None:
            return "-"
        return f"{fmean(run.result.seconds for run in runs[method.label]):,.0f}"

    def over_plain(method: MethodSummary) -> str:
        step, other = (one.spreads.get("step_ms") if one else None for one in (method, plain))
        if method.predictor is not None or not step or not other:
            return "-"
        return f"{step.mean / other.mean:.2f}" if _alone(runs[method.label] + runs[BASELINE]) else "-"

    columns = [
        Column[MethodSummary]("method", lambda method: method.label, is_text=True),
        Column[MethodSummary]("n", lambda method: str(len(method.seeds))),
        NLL,
        ECE,
        Column[MethodSummary]("seconds", seconds),
    ]
    note = "Scores of the last epoch on the test set. Seconds of a whole run, its share where several runs share a "
    note += "program, without the stages before it"
    if any("step_ms" in method.spreads for method in column.methods):
        columns += [STEP, Column[MethodSummary]("x plain", over_plain), MEMORY]
        note += "; step: the median time of a training step, its share where several runs share a program; x plain: "
        note += "of runs made alone, with plain training's batch size; MiB: peak memory of a run"
    return Table("Calibration and cost", columns, column.methods, f"{note}.", _label_of_run)


def _label_of_run(method: MethodSummary) -> str:
    """The label of the run that a summary is of: a branch's is ``one: branch2``."""
    return method.label.removesuffix(f": {method.predictor}") if method.predictor else method.label


def _alone(runs: Sequence[FinishedRun]) -> bool:
    """Whether every run had its own program and all the same batch size: only then can their steps be compared."""
    fused = any(str(run.result.environment.get("executor")).startswith("fused") for run in runs)
    return not fused and len({run.config.batch_size for run in runs}) == 1
