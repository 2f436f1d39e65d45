"""The tables of accuracies: ours beside the paper's, and those of a comparison."""

from collections.abc import Sequence

from osakd.plan import BASELINE
from osakd.report.statistics.aggregate import MethodSummary, Summary
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import nats, percent, points, with_less
from osakd.report.statistics.verdicts import PaperRow, other_baselines, other_rows, paper_rows
from osakd.report.tables.table import Column, Table

_INTERVAL = "[95 % CI]"


def _percent(method: MethodSummary | None, key: str) -> str:
    return percent(method.spreads.get(key)) if method else "-"


def _difference(method: MethodSummary | None, key: str) -> str:
    return points(method.differences.get(key), len(method.seeds)) if method else "-"


def _published(row: PaperRow) -> str:
    published = row.cell.published
    return f"{published.mean:.2f} ± {published.std:.2f}" if published else "-"


def _best_or_not_run(row: PaperRow) -> str:
    return _percent(row.method, "best_on_test") if row.method else "not run"


_METHOD = Column[PaperRow]("method", lambda row: row.name, is_text=True)
_N = Column[PaperRow]("n", lambda row: str(len(row.method.seeds)) if row.method else "0")
_N_LESS = Column[PaperRow]("n", lambda row: with_less(_N.cell(row), row.smaller))
_EPOCHS = Column[PaperRow]("epochs", lambda row: str(row.method.trained) if row.method else "-")
_BEST = Column[PaperRow]("best on test %", lambda row: _percent(row.method, "best_on_test"))
_LAST = Column[PaperRow]("last epoch %", lambda row: _percent(row.method, "last"))
_CHOSEN = Column[PaperRow]("chosen on validation %", lambda row: _percent(row.method, "chosen_on_validation"))
_PAPER = Column[PaperRow]("paper %", _published)
_VERDICT = Column[PaperRow]("verdict", lambda row: row.verdict, is_text=True)
_BEST_GAIN = Column[PaperRow](f"best vs {BASELINE} {_INTERVAL}", lambda row: _difference(row.method, "best_on_test"))
_LAST_GAIN = Column[PaperRow](f"last vs {BASELINE} {_INTERVAL}", lambda row: _difference(row.method, "last"))


def paper_table(column: RecordedColumn) -> Table[PaperRow]:
    """A column of a table of the paper: its cells beside the paper's numbers."""
    best = _best(column)
    columns = (_METHOD, _N if _VERDICT in best else _N_LESS, _EPOCHS, *best, _BEST_GAIN, _LAST)
    return Table("Ours and the paper's", columns, paper_rows(column))


def accuracy_table(column: RecordedColumn) -> Table[PaperRow]:
    """Everything that is recorded of a column, beside the paper's numbers where it has some."""
    best = _best(column)
    note = "Best on test is chosen on the test set" + (", the paper's protocol" if _PAPER in best else "")
    note += "; the last epoch and what validation chose are not."
    if any("first_epochs" in method.settings for method in column.methods):
        note += " Epochs: of the last stage."
    return Table(
        "Test accuracy",
        (_METHOD, _N, _EPOCHS, *best, _LAST, _CHOSEN, _BEST_GAIN, _LAST_GAIN),
        [*paper_rows(column), *other_rows(column)],
        f"{note} {other_baselines(column)}".rstrip(),
        lambda row: row.cell.label,
    )


def _best(column: RecordedColumn) -> Sequence[Column[PaperRow]]:
    """The best accuracies, beside the paper's where it has some."""
    published = any(cell.published for cell in column.cells)
    return (_BEST, _PAPER, _VERDICT) if published else (Column("best on test %", _best_or_not_run),)


def comparison_table(summary: Summary) -> Table[MethodSummary]:
    """The table of a comparison; accuracies and ECE in per cent, mean ± standard deviation over seeds."""
    columns = [
        Column[MethodSummary]("method", lambda method: method.label, is_text=True),
        Column[MethodSummary]("n", lambda method: str(len(method.seeds))),
        Column[MethodSummary](_LAST.head, lambda method: _percent(method, "last")),
        Column[MethodSummary](_LAST_GAIN.head, lambda method: _difference(method, "last")),
        Column[MethodSummary](_BEST.head, lambda method: _percent(method, "best_on_test")),
        Column[MethodSummary](_BEST_GAIN.head, lambda method: _difference(method, "best_on_test")),
    ]
    if any("chosen_on_validation" in method.spreads for method in summary.methods):
        columns.append(Column(_CHOSEN.head, lambda method: _percent(method, "chosen_on_validation")))
    columns += [NLL, ECE]
    if all("step_ms" in method.spreads for method in summary.methods):
        columns += [STEP, MEMORY]
    return Table("Comparison", columns, summary.methods)


def _of_run(method: MethodSummary, key: str) -> str:
    """A cost of a run, which is the deployed network's row."""
    return f"{method.spreads[key].mean:.1f}" if method.predictor is None and key in method.spreads else "-"


NLL = Column[MethodSummary]("NLL", lambda method: nats(method.spreads["nll"]))
ECE = Column[MethodSummary]("ECE %", lambda method: percent(method.spreads["ece"]))
STEP = Column[MethodSummary]("step ms", lambda method: _of_run(method, "step_ms"))
MEMORY = Column[MethodSummary]("MiB", lambda method: _of_run(method, "memory_mib"))
