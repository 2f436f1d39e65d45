"""The cost as work grows: replicas of a program, rows of a memory, images in a batch."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from osakd.durable import write_atomic

Series = dict[int, list[float]]


def write_curves(seconds: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draws the three curves as SVG: the median at each size, and every value as a dot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    replicas, rows, batch = figure.subplots(1, 3)
    per_replica = {
        count: [value / count for value in values] for count, values in _series(seconds, "replicas ").items()
    }
    _draw(replicas, {"LeNet, batch of 64": per_replica}, "replicas in one program", "ms per replica and step")
    _draw(rows, {"batch of 64": _series(seconds, "search ")}, "rows of the memory", "ms per search")
    steps = {method: _series(seconds, f"{method}, batch ") for method in ("plain", "osakd")}
    _draw(batch, steps, "images in a batch", "ms per step")
    stream = io.BytesIO()
    # Without a date, equal measurements give equal files.
    figure.savefig(stream, format="svg", metadata={"Date": None})
    write_atomic(path, stream.getvalue())


def _series(seconds: Mapping[str, Sequence[float]], prefix: str) -> Series:
    by_size = {name.removeprefix(prefix): values for name, values in seconds.items() if name.startswith(prefix)}
    return {int(size): [1000 * value for value in values] for size, values in by_size.items() if size.isdigit()}


def _draw(axes: Any, named: Mapping[str, Series], x: str, y: str) -> None:
    for name, series in named.items():
        sizes = sorted(series)
        (line,) = axes.plot(sizes, [median(series[size]) for size in sizes], marker="o", markersize=3, label=name)
        for size in sizes:
            axes.plot([size] * len(series[size]), series[size], ".", markersize=2, alpha=0.5, color=line.get_color())
    ticks = sorted({size for series in named.values() for size in series})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
