"""The table of a benchmark: each workload in milliseconds, beside what it is compared with. It works on numbers."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from osakd.report.tables.table import markdown, table_of

Seconds = Mapping[str, Sequence[float]]
"""Seconds per step of each workload, one value for each round."""


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        what: what is measured.
        against: what it is compared with; empty for nothing.
        workload: the workload that is measured.
        baselines: the workloads that it is compared with, of which the fastest counts.
        times: number of baseline steps that do the work of one step of the workload.
    """

    what: str
    against: str
    workload: str
    baselines: tuple[str, ...] = ()
    times: int = 1


SCRIPT = ("plain script, 0 workers, 2 threads", "plain script, 2 workers, 1 thread")
FASHION_SCRIPT = "plain script of lenet-fashion, 0 workers, 2 threads"
FUSED = "15 runs (5 seeds x plain, 8NN, 16NN), fused"
LOSS_CLASSES = (10, 1000, 10_000)
ROWS = (
    Row("one LeNet run, batch 64", "the plain script", "lenet plain", SCRIPT),
    Row("one LeNet run, batch 64", "PyTorch's operators", "lenet plain", ("lenet plain, torch",)),
    Row("one LeNet run, one thread", "two threads", "lenet plain, one thread", ("lenet plain",)),
    Row("two LeNet runs of one thread at once, each", "one of two threads", "two processes", ("lenet plain",)),
    Row("one lenet-fashion run, batch 64", "the plain script", "fashion plain", (FASHION_SCRIPT,)),
    Row(FUSED, "the plain script, 15 times", "fused 15", SCRIPT, 15),
    Row(FUSED, "one run, 15 times", "fused 15", ("lenet plain",), 15),
    Row(FUSED, "PyTorch's operators", "fused 15", ("fused 15, torch",)),
    Row("step with averaged weights, LeNet", "plain step", "lenet averaged", ("lenet plain",)),
    Row("OSAKD step, in-batch, LeNet", "plain step", "lenet osakd", ("lenet plain",)),
    Row("OSAKD step, in-batch, ResNet", "plain step", "resnet osakd", ("resnet plain",)),
    Row("OSAKD step, queue of 2,048, LeNet", "plain step", "lenet queue", ("lenet plain",)),
    Row("OSAKD step, memory of 50,000 x 10, LeNet", "plain step", "lenet memory", ("lenet plain",)),
    Row("OSAKD step, memory of 50,000 x 10, ResNet", "plain step", "resnet memory", ("resnet plain",)),
    Row("search of 64 among 50,000 x 10", "product and torch.topk", "search", ("product and topk",)),
    *(
        Row(f"OSAKDLoss alone, 64 x {classes:,}", "cross-entropy", f"loss {classes}", (f"cross-entropy {classes}",))
        for classes in LOSS_CLASSES
    ),
    Row("osakd --help", "", "osakd --help"),
    Row("import osakd, without Python's own start", "", "import osakd"),
    Row("make demo, after set-up", "", "make demo"),
)


def table(seconds: Seconds) -> str:
    """The rows whose workloads were timed, as Markdown: medians, and the median over the rounds of their ratio."""
    lines = []
    for row in ROWS:
        if row.workload not in seconds:
            continue
        ours, line = seconds[row.workload], [row.what, row.against or "-"]
        baselines = [seconds[name] for name in row.baselines if name in seconds]
        if baselines:
            fastest = [row.times * value for value in min(baselines, key=median)]
            # Round by round: a machine that slows down slows both.
            ratio = median(theirs / value for theirs, value in zip(fastest, ours, strict=True))
            lines.append([*line, milliseconds(ours), milliseconds(fastest), f"{ratio:.2f}x"])
        elif not row.baselines:
            lines.append([*line, milliseconds(ours), "-", "-"])
    return markdown(
        table_of("benchmark", ["what", "against", "ms", "against ms", "times as fast"], lines, words=(0, 1))
    )


def milliseconds(seconds: Sequence[float]) -> str:
    """The median."""
    return f"{1000 * median(seconds):,.2f}"


EPOCHS, STEPS_PER_EPOCH = 100, 782
"""A run of Table I on CIFAR-10."""


def extrapolations(seconds: Seconds) -> list[str]:
    """The time of whole runs, extrapolated from the measured steps."""
    named = {"lenet plain": "one LeNet run", "fused 15": "one column of Table I (15 runs)"}
    steps = STEPS_PER_EPOCH * EPOCHS
    return [
        f"{what} of {EPOCHS} epochs: {steps:,} steps x {milliseconds(seconds[name])} ms = "
        f"{steps * median(seconds[name]) / 60:.1f} minutes, extrapolated, without evaluation"
        for name, what in named.items()
        if name in seconds
    ]
