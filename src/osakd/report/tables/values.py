"""Every value of the finished runs in long format, one line each, as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from osakd.report.statistics.column import RecordedColumn
from osakd.report.tables.table import Column


class Value(NamedTuple):
    """A value of a run.

    Attributes:
        experiment: folder above the column.
        column: name of the column that the run is of.
        label: label of its method.
        seed: its seed.
        epochs: its epochs.
        fraction: share of the training images that it used.
        quantity: name of the value.
        value: the value, exactly as recorded.
    """

    experiment: str
    column: str
    label: str
    seed: int
    epochs: int
    fraction: float
    quantity: str
    value: float


_COLUMNS = (
    Column[Value]("experiment", lambda value: value.experiment, is_text=True),
    Column[Value]("column", lambda value: value.column, is_text=True),
    Column[Value]("method", lambda value: value.label, is_text=True),
    Column[Value]("seed", lambda value: str(value.seed)),
    Column[Value]("epochs", lambda value: str(value.epochs)),
    Column[Value]("fraction", lambda value: str(value.fraction)),
    Column[Value]("quantity", lambda value: value.quantity, is_text=True),
    Column[Value]("value", lambda value: str(value.value)),
)


def values_csv(columns: Sequence[RecordedColumn]) -> str:
    """The values of the runs that means are taken over: accuracies, ECE and shares in 0 to 1, NLL in nats."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(column.head for column in _COLUMNS)
    for one in columns:
        for value in _values(one):
            writer.writerow([column.cell(value) for column in _COLUMNS])
    return stream.getvalue()


def _values(column: RecordedColumn) -> Iterator[Value]:
    place, name, fraction = column.place, column.name, column.fraction
    for method in column.methods:
        for quantity, values in method.values.items():
            for seed, value in zip(method.seeds, values, strict=True):
                yield Value(place, name, method.label, seed, method.trained, fraction, quantity, value)
    for run in column.pooled:
        yield Value(place, name, run.label, run.seed, run.result.epochs, fraction, "seconds", run.result.seconds)
