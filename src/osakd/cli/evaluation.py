"""How ``osakd evaluate`` shows a network's scores, its classes, and its mistakes."""

from typing import Any

from osakd.api.evaluation import Answer, Evaluation
from osakd.cli.progress import print_table
from osakd.cli.terminal import say
from osakd.errors import printable
from osakd.report.tables.table import Table, csv_text, table_of

MOST_COLUMNS = 10
"""Up to so many classes have a confusion matrix; of more, each row names the classes that it is most taken for."""
MOST_ROWS, TAKEN_FOR, MISTAKES = 20, 3, 5


def print_evaluation(evaluation: Evaluation) -> None:
    """Prints the scores, a row for each class, and the surest mistakes."""
    percent = {name: f"{100 * score:.2f} %" for name, score in evaluation.items()}
    (low, high), images = evaluation.interval, len(evaluation.answers)
    top5 = f"top-5 {percent['top5']}, " if "top5" in evaluation else ""
    say(
        f"accuracy {percent['accuracy']}, 95 % interval {100 * low:.2f} to {100 * high:.2f} % (Wilson, "
        f"{images:,} image{'s' * (images > 1)}), {top5}balanced accuracy {percent['balanced_accuracy']}, "
        f"NLL {evaluation['nll']:.4f}, ECE {percent['ece']}"
    )
    say("")
    print_table(_classes(evaluation))
    if len(evaluation.confusion) > MOST_ROWS:
        say(f"The {MOST_ROWS} least accurate of {len(evaluation.confusion)} classes; --json has all.")
    if evaluation.mistakes:
        say(f"The surest of {len(evaluation.mistakes):,} mistakes (--csv FILE has every image):")
    for file, label, predicted, probability in evaluation.mistakes[:MISTAKES]:
        say(f"  {file}: {predicted} {100 * probability:.1f} %, but is {label}")


def csv_of(evaluation: Evaluation) -> str:
    """A line for each image."""
    return csv_text(table_of("", Answer._fields, [[*words, f"{p:.4f}"] for *words, p in evaluation.answers]))


def _classes(evaluation: Evaluation) -> Table[Any]:
    """Accuracy and images of each class; the confusion matrix, or of many classes which they are most taken for."""
    accuracies, confusion = evaluation.class_accuracies, evaluation.confusion
    columns = list(dict.fromkeys([*confusion, *(name for counts in confusion.values() for name in counts)]))
    is_small = len(columns) <= MOST_COLUMNS
    shown = list(confusion) if is_small else sorted(confusion, key=lambda name: accuracies[name])[:MOST_ROWS]
    rows = []
    for name in shown:
        counts = confusion[name]
        wrong = [f"{other} {count:,}" for other, count in counts.most_common() if other != name]
        taken_for = [f"{counts[other]:,}" for other in columns] if is_small else [", ".join(wrong[:TAKEN_FOR]) or "-"]
        rows.append([name, f"{100 * accuracies[name]:.2f}", f"{counts.total():,}", *taken_for])
    heads = [f"as {name}" for name in columns] if is_small else ["most taken for"]
    head, *rows = [list(map(printable, row)) for row in [["class", "accuracy %", "images", *heads], *rows]]
    return table_of("Classes", head, rows)
