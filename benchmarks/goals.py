"""The table of goals: which measured times are compared, and what the goals are. It works on numbers, without torch."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

Seconds = Mapping[str, Sequence[float]]
"""Seconds per step of each contender, one value for each round."""


class Goal(NamedTuple):
    """A goal.

    Attributes:
        what: what is measured.
        against: what it is compared with.
        subject: the contender that is measured.
        baselines: the contenders that it is compared with, of which the fastest counts; none for a limit in seconds.
        kind: ``faster``: baseline over subject, at least the goal; ``cost``: subject over baseline, at most the goal;
            ``share``: floor over subject, at least the goal.
        times: number of baseline steps that do the work of one step of the subject.
        cpu: goal and stretch goal on two cores.
        gpu: goal and stretch goal on a GPU.
        floor: name of the least work of the subject's step.
    """

    what: str
    against: str
    subject: str
    baselines: tuple[str, ...]
    kind: Literal["faster", "cost", "share"]
    times: int = 1
    cpu: tuple[float, float | None] | None = None
    gpu: tuple[float, float | None] | None = None
    floor: str | None = None


SCRIPT = ("plain script, 0 workers, 2 threads", "plain script, 2 workers, 1 thread")
FASHION_SCRIPT = "plain script of lenet-fashion, 0 workers, 2 threads"
GOALS = (
    Goal(
        "one LeNet run, batch 64", "the plain script", "lenet plain", SCRIPT, "faster", 1,
        (4, 6), (10, None), "lenet",
    ),
    Goal(
        "15 runs (5 seeds x plain, 8NN, 16NN), fused", "the plain script, 15 times", "fused 15", SCRIPT, "faster", 15,
        (6, 8), (100, None), "lenet x 15",
    ),
    Goal(
        "one LeNet run, batch 64", "PyTorch's operators", "lenet plain", ("lenet plain, torch",), "faster", 1,
        (2.5, 3), None, "lenet",
    ),
    Goal(
        "15 runs, fused", "PyTorch's operators", "fused 15", ("fused 15, torch",), "faster", 1,
        (2, 2.5), None, "lenet x 15",
    ),
    Goal(
        "one LeNet run, one thread, share of the floor", "the floor", "lenet plain, one thread", (), "share", 1,
        (0.5, 0.75), None, "lenet, one thread",
    ),
    Goal(
        "15 runs, fused, share of the floor", "the floor", "fused 15", (), "share", 1,
        (0.5, 0.65), None, "lenet x 15",
    ),
    Goal(
        "one lenet-fashion run, batch 64", "the plain script", "fashion plain", (FASHION_SCRIPT,), "faster", 1,
        (2.5, 4), None, "lenet-fashion",
    ),
    Goal(
        "15 runs, fused", "15 cuda_graph runs, one after another", "fused 15", ("lenet plain",), "faster", 15,
        None, (4, 8), "lenet x 15",
    ),
    Goal(
        "two processes of one thread", "one process of two threads", "two processes", ("lenet plain",), "faster", 1,
        (1.3, None), None, "lenet",
    ),
    Goal(
        "OSAKD step, in-batch, LeNet", "plain step", "lenet osakd", ("lenet plain",), "cost", 1,
        (1.15, 1.08), (1.15, None), "lenet",
    ),
    Goal(
        "OSAKD step, in-batch, ResNet", "plain step", "resnet osakd", ("resnet plain",), "cost", 1,
        (1.02, None), (1.03, None), "resnet",
    ),
    Goal(
        "OSAKD step, memory of 50,000 x 10, LeNet", "plain step", "lenet memory", ("lenet plain",), "cost", 1,
        (2.2, 1.6), (1.6, None), "lenet + search",
    ),
    Goal(
        "OSAKD step, memory of 50,000 x 10, ResNet", "plain step", "resnet memory", ("resnet plain",), "cost", 1,
        None, (1.03, None), "resnet + search",
    ),
    Goal(
        "search of 64 among 50,000 x 10", "product and torch.topk", "search", ("product and topk",), "faster", 1,
        (2, 3), (1.5, None), "search",
    ),
    Goal(
        "Table I, one column, 100 epochs, extrapolated", "the clock, seconds", "column of Table I", (), "cost", 1,
        None, (60, None),
    ),
    Goal("osakd --help", "the clock, seconds", "osakd --help", (), "cost", 1, (0.3, None), (0.3, None)),
    Goal("make demo, after set-up", "the clock, seconds", "make demo", (), "cost", 1, (8.5, None), None),
    Goal("import osakd", "an empty Python, seconds more", "import osakd", (), "cost", 1, (0.1, None), (0.1, None)),
)  # fmt: skip


class Line(NamedTuple):
    """A line of the table: a goal and what was measured.

    Attributes:
        goal: the goal.
        value: the median over the rounds of the ratio within a round; or the seconds.
        aim: the goal and the stretch goal of this device.
        met: ``stretch``, ``yes`` or ``no``.
        milliseconds: median time of the subject's step, and of the baseline's.
        floor: least milliseconds of the subject's step, and their share of the median.
    """

    goal: Goal
    value: float
    aim: tuple[float, float | None]
    met: str
    milliseconds: tuple[float, float | None]
    floor: tuple[float, float] | None


def lines(seconds: Seconds, floors: Mapping[str, float], *, gpu: bool) -> list[Line]:
    """The lines of all goals of this device whose contenders were timed."""
    timed = []
    for goal in GOALS:
        aim = goal.gpu if gpu else goal.cpu
        if aim is not None and goal.subject in seconds and (not goal.baselines or set(goal.baselines) & set(seconds)):
            timed.append(_line(goal, aim, seconds, floors))
    return timed


def _line(goal: Goal, aim: tuple[float, float | None], seconds: Seconds, floors: Mapping[str, float]) -> Line:
    subject, value = median(seconds[goal.subject]), median(seconds[goal.subject])
    timed = [seconds[name] for name in goal.baselines if name in seconds]
    base = None
    if timed:
        best = min(timed, key=median)
        base = median(best)
        # Round by round: a machine that slows down slows both.
        pairs = list(zip(best, seconds[goal.subject], strict=True))
        value = median(goal.times * b / s if goal.kind == "faster" else s / b for b, s in pairs)
    floor = floors.get(goal.floor or "")
    if goal.kind == "share":
        value = (floor or 0.0) / subject
    reached = [limit is not None and (value <= limit if goal.kind == "cost" else value >= limit) for limit in aim]
    met = "stretch" if reached[1] else "yes" if reached[0] else "no"
    return Line(
        goal,
        value,
        aim,
        met,
        (1000 * subject, None if base is None else 1000 * goal.times * base),
        None if floor is None else (1000 * floor, floor / subject),
    )


def table(measured: Sequence[Line]) -> str:
    """The goals as a Markdown table."""
    rows = ["| what | against | measured | goal | stretch | met | ms | against ms | floor ms | share of the floor |"]
    rows.append("|---|---|---|---|---|---|---|---|---|---|")
    for line in measured:
        timed = line.goal.baselines != ()
        sign = "" if not timed or line.goal.kind == "cost" else "x"
        limit = ["-" if aim is None else f"{aim:g}{sign}" for aim in line.aim]
        times = ["-" if value is None else f"{value:.2f}" for value in line.milliseconds]
        floor = ["-", "-"] if line.floor is None else [f"{line.floor[0]:.2f}", f"{100 * line.floor[1]:.0f} %"]
        cells = [line.goal.what, line.goal.against, f"{line.value:.2f}{sign}", *limit, line.met, *times, *floor]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


EPOCHS, STEPS_PER_EPOCH = 100, 782
"""A run of Table I on CIFAR-10."""


def extrapolations(seconds: Seconds) -> list[str]:
    """The time of whole runs, extrapolated from the measured steps."""
    named: dict[str, str] = {"lenet plain": "one LeNet run", "fused 15": "one column of Table I (15 runs)"}
    return [
        f"{what} of {EPOCHS} epochs: {STEPS_PER_EPOCH * EPOCHS:,} steps x {1000 * median(seconds[name]):.3f} ms = "
        f"{STEPS_PER_EPOCH * EPOCHS * median(seconds[name]) / 60:.1f} minutes, extrapolated, without evaluation"
        for name, what in named.items()
        if name in seconds
    ]
