"""Every value of the finished runs in long format, one line each, as CSV."""

import csv
import io
from collections.abc import Sequence

from osakd.report.plan import Column

HEAD = ("experiment", "column", "method", "seed", "epochs", "fraction", "quantity", "value")


def values_csv(columns: Sequence[Column]) -> str:
    """The lines of the runs that are pooled: accuracies, ECE and shares in 0 to 1, NLL in nats, exactly as recorded."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEAD)
    for column in columns:
        share = column.summary.configuration["fraction"] if column.summary else 1.0
        for method in column.methods:
            for quantity, values in method.values.items():
                for seed, value in zip(method.seeds, values, strict=True):
                    of_run = (column.experiment, column.name, method.label, seed, method.trained, share)
                    writer.writerow((*of_run, quantity, value))
        pooled = {folder for _, folder in column.finished}
        for entry in column.entries:
            if entry.result is not None and entry.folder in pooled:
                of_run = (column.experiment, column.name, entry.label, entry.seed, entry.result.epochs, share)
                writer.writerow((*of_run, "seconds", entry.result.seconds))
    return stream.getvalue()
