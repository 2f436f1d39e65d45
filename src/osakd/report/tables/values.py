"""Every value of the finished runs in long format, one line each, as CSV."""

from collections.abc import Sequence

from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.scores import QUANTITIES
from osakd.report.tables.table import csv_text, table_of

_HEAD = ("experiment", "panel", "method", "seed", "epochs", "fraction", "quantity", "value")


def values_csv(panels: Sequence[RecordedPanel]) -> str:
    """The values of the runs that means are taken over: accuracies, ECE and shares in 0 to 1, NLL in nats."""
    rows: list[tuple[object, ...]] = []
    for panel in panels:
        place, name, fraction = panel.place, panel.name, panel.fraction
        for method in panel.methods:
            epochs = method.runs[0].config.epochs
            for quantity, measure in QUANTITIES.items():
                values = method.by_seed(measure) if method.spread(measure) else {}
                rows += [
                    (place, name, method.name, seed, epochs, fraction, quantity, value)
                    for seed, value in values.items()
                ]
        rows += [
            (place, name, run.label, run.seed, run.result.epochs, fraction, "seconds", run.result.seconds)
            for run in panel.finished
        ]
    return csv_text(table_of("Values", _HEAD, [list(map(str, row)) for row in rows]))
