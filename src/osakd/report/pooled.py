"""Which runs belong together: those of a label that were trained for the most epochs; shorter ones are left out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osakd.records import RunConfig, read_config, read_metrics

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Curve:
    """The learning curve of a run.

    Attributes:
        rows: one for each epoch.
        epochs: that the run was meant to train.
        fraction: share of the training images that it used.
    """

    rows: Rows
    epochs: int
    fraction: float = 1.0


Runs = Mapping[str, Mapping[int, Curve]]
"""The learning curve of each run, by label and seed."""


def pooled(runs: Iterable[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """The runs that a mean is taken over: of each label those with the most epochs.

    Labels may differ in it: a method with stages shares its epochs out.

    Args:
        runs: label and folder of each finished run.
    """
    return [(label, folder) for label, folder, config, most in _lengths(runs) if config.epochs == most]


def left_out(runs: Iterable[tuple[str, Path]]) -> list[str]:
    """A sentence for each other length among the runs: how many are left out, and which.

    Args:
        runs: label and folder of each finished run.
    """
    shorter: dict[int, list[str]] = {}
    for _, folder, config, most in _lengths(runs):
        if config.epochs < most:
            shorter.setdefault(config.epochs, []).append(folder.name)
    return [
        f"{len(names)} run{'s' * (len(names) > 1)} of another length ({epochs} epoch{'s' * (epochs > 1)}) "
        f"{'are' if len(names) > 1 else 'is'} left out: {', '.join(names)}"
        for epochs, names in shorter.items()
    ]


def read_runs(runs: Iterable[tuple[str, Path]]) -> dict[str, dict[int, Curve]]:
    """The learning curves of the runs that are pooled.

    Args:
        runs: label and folder of each finished run; its folder ends with its seed.
    """
    found: dict[str, dict[int, Curve]] = {}
    for label, folder, config, most in _lengths(runs):
        if config.epochs == most:
            seed = int(folder.name.rpartition("-seed")[2])
            found.setdefault(label, {})[seed] = Curve(read_metrics(folder), config.epochs, config.fraction)
    return found


def smaller(seeds: int, epochs: int, wanted: tuple[int, int], fraction: float = 1.0) -> str:
    """What is smaller than in the paper, in brackets.

    Args:
        seeds: that are recorded.
        epochs: of each run.
        wanted: seeds and epochs in the paper.
        fraction: share of the training images that was used.

    Example:
        >>> smaller(3, 100, (5, 100), 0.1), smaller(5, 100, (5, 100))
        (' (3 of 5 seeds, 10 % of the images)', '')
    """
    less = [f"{seeds} of {wanted[0]} seeds"] * (seeds < wanted[0])
    less += [f"{epochs} of {wanted[1]} epochs"] * (epochs < wanted[1])
    less += [f"{100 * fraction:g} % of the images"] * (fraction < 1)
    return f" ({', '.join(less)})" if less else ""


def smaller_curves(curves: Collection[Curve], seeds: int, wanted: tuple[int, int] | None) -> str:
    """What is smaller of some curves, in brackets; nothing where nothing was planned.

    Args:
        curves: at least one.
        seeds: that they have.
        wanted: seeds and epochs that were planned.
    """
    if wanted is None:
        return ""
    return smaller(seeds, min(one.epochs for one in curves), wanted, min(one.fraction for one in curves))


def _lengths(runs: Iterable[tuple[str, Path]]) -> list[tuple[str, Path, RunConfig, int]]:
    """Every run with its configuration and the most epochs of its label."""
    found = [(label, folder, config) for label, folder in runs if (config := read_config(folder)) is not None]
    most: dict[str, int] = {}
    for label, _, config in found:
        most[label] = max(config.epochs, most.get(label, 0))
    return [(label, folder, config, most[label]) for label, folder, config in found]
