"""Every value of the finished runs in long format, one line each, as CSV."""

from collections.abc import Sequence
from typing import NamedTuple

from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.scores import QUANTITIES
from osakd.report.tables.table import Column, Table, csv_text


class Value(NamedTuple):
    """A value of a run.

    Attributes:
        experiment: folder above the panel.
        panel: name of the panel that the run is of.
        label: label of its method.
        seed: its seed.
        epochs: its epochs.
        fraction: share of the training images that it used.
        quantity: name of the value.
        value: the value, exactly as recorded.
    """

    experiment: str
    panel: str
    label: str
    seed: int
    epochs: int
    fraction: float
    quantity: str
    value: float


_COLUMNS = (
    Column[Value]("experiment", lambda value: value.experiment, is_text=True),
    Column[Value]("panel", lambda value: value.panel, is_text=True),
    Column[Value]("method", lambda value: value.label, is_text=True),
    Column[Value]("seed", lambda value: str(value.seed)),
    Column[Value]("epochs", lambda value: str(value.epochs)),
    Column[Value]("fraction", lambda value: str(value.fraction)),
    Column[Value]("quantity", lambda value: value.quantity, is_text=True),
    Column[Value]("value", lambda value: str(value.value)),
)


def values_csv(panels: Sequence[RecordedPanel]) -> str:
    """The values of the runs that means are taken over: accuracies, ECE and shares in 0 to 1, NLL in nats."""
    rows: list[Value] = []
    for panel in panels:
        place, name, fraction = panel.place, panel.name, panel.fraction
        for method in panel.methods:
            epochs = method.runs[0].config.epochs
            for quantity, measure in QUANTITIES.items():
                values = method.by_seed(measure) if method.spread(measure) else {}
                rows += [
                    Value(place, name, method.name, seed, epochs, fraction, quantity, value)
                    for seed, value in values.items()
                ]
        rows += [
            Value(place, name, run.label, run.seed, run.result.epochs, fraction, "seconds", run.result.seconds)
            for run in panel.finished
        ]
    return csv_text(Table("Values", _COLUMNS, rows))
