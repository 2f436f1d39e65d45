"""The learning curves in numbers: the mean test accuracy at five epochs, and where it is best."""

from osakd.report.statistics.aggregate import MethodSummary
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.curves import mean_and_std
from osakd.report.statistics.format import with_less
from osakd.report.tables.table import Column, Table


def epochs_table(column: RecordedColumn) -> Table[MethodSummary]:
    """The table of a column; without columns of epochs where no run has finished."""
    epochs = column.summary.epochs if column.summary else 0
    shown = sorted({max(1, epochs * part // 5) for part in range(1, 6)}) if epochs else []
    columns = [
        Column[MethodSummary]("method", lambda method: method.label, is_text=True),
        Column[MethodSummary]("n", lambda method: with_less(str(len(method.seeds)), column.smaller(method))),
        *(_at(epoch) for epoch in shown),
        Column[MethodSummary]("best mean (at)", _best),
    ]
    return Table("Mean test accuracy over the epochs", columns, column.deployed)


def _at(epoch: int) -> Column[MethodSummary]:
    def cell(method: MethodSummary) -> str:
        means = _means(method)
        return f"{means[epoch]:.2f}" if epoch in means else "-"

    return Column(f"epoch {epoch}", cell)


def _best(method: MethodSummary) -> str:
    means = _means(method)
    best = max(means, key=means.__getitem__)
    return f"{means[best]:.2f} ({best})"


def _means(method: MethodSummary) -> dict[int, float]:
    """The mean test accuracy of each epoch, in per cent."""
    mean, _ = mean_and_std(method)
    return dict(zip(method.epochs, mean.tolist(), strict=False))
