"""Which runs belong together: those of a label with the most epochs; shorter ones are left out."""

from collections.abc import Collection, Iterable

from osakd.plan import Column
from osakd.report.statistics.runs import FinishedRun, RunRecord, finished


def pooled(runs: Iterable[RunRecord]) -> list[FinishedRun]:
    """The runs that a mean is taken over: the finished ones with the most epochs of their label.

    Labels may differ in that: a method with stages shares its epochs among them.
    """
    done = finished(runs)
    most = _most_epochs(done)
    return [run for run in done if run.config.epochs == most[run.label]]


def left_out(runs: Iterable[RunRecord]) -> list[str]:
    """A sentence for each other length among the finished runs: how many are left out, and which."""
    done = finished(runs)
    most = _most_epochs(done)
    shorter: dict[int, list[str]] = {}
    for run in done:
        if run.config.epochs < most[run.label]:
            shorter.setdefault(run.config.epochs, []).append(run.folder.name)
    return [
        f"{len(names)} run{'s' * (len(names) > 1)} of another length ({epochs} epoch{'s' * (epochs > 1)}) "
        f"{'are' if len(names) > 1 else 'is'} left out: {', '.join(names)}"
        for epochs, names in shorter.items()
    ]


def smaller(plan: Column | None, seeds: int, epochs: int, fraction: float = 1.0, *, left_out: int = 0) -> str:
    """What is smaller than planned, as a list; empty where nothing is, or nothing was planned.

    Args:
        plan: the column.
        seeds: seeds that are recorded.
        epochs: epochs of each run.
        fraction: share of the training images that was used.
        left_out: planned seeds that are left out on purpose.

    Example:
        >>> smaller(Column("a", "a", 100, ()), 3, 100, 0.1), smaller(Column("a", "a", 100, ()), 5, 100)
        ('3 of 5 seeds, 10 % of the images', '')
    """
    if plan is None:
        return ""
    wanted = plan.seeds - left_out
    less = [f"{seeds} of {wanted} seeds"] * (seeds < wanted)
    less += [f"{epochs} of {plan.epochs} epochs"] * (epochs < plan.epochs)
    less += [f"{100 * fraction:g} % of the images"] * (fraction < plan.fraction)
    return ", ".join(less)


def smaller_runs(plan: Column | None, runs: Collection[FinishedRun], seeds: int, *, left_out: int = 0) -> str:
    """What is smaller than planned of some runs, at least one, as a list."""
    epochs, fraction = min(run.config.epochs for run in runs), min(run.config.fraction for run in runs)
    return smaller(plan, seeds, epochs, fraction, left_out=left_out)


def _most_epochs(runs: Iterable[FinishedRun]) -> dict[str, int]:
    most: dict[str, int] = {}
    for run in runs:
        most[run.label] = max(run.config.epochs, most.get(run.label, 0))
    return most
