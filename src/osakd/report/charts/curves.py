"""The learning curves of a comparison: mean test accuracy over seeds, with a band of one standard deviation."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.durable import write_atomic
from osakd.errors import as_sentences, printable
from osakd.report.charts.svg import epoch_ticks, look
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.trends import ACCURACY, MOST_BANDS, limits, trends

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can distinguish too; their yellow is darker, for white paper.
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8F8600")
_DASHES = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
_KINDS: dict[str, dict[str, None]] = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
_PAPER = "the paper's best epoch, ± one standard deviation"


def write_curves(panels: Mapping[str, RecordedPanel], folder: Path, *, name: str = "curves") -> list[Path]:
    """Draws the learning curves of panels side by side in one picture, two in a row, as SVG, PNG and PDF.

    Args:
        panels: panels with finished runs, at least one, by the name that stands above their panel; an empty name
            stands for that of the images.
        folder: folder to write into, which is made.
        name: name of the files, without their endings.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(2, len(panels))
    down = -(-len(panels) // across)
    labels = dict.fromkeys(label for panel in panels.values() for label in panel.curves)
    width = 7.0 if across == 1 else 11.0
    columns = max(1, int(width * 11 / (max(map(len, labels)) + 9)))
    figure = Figure(figsize=(width, 4.2 * down + 0.2 * (1 + len(labels) // columns)), layout="constrained")
    FigureCanvasAgg(figure)
    numbers = {label: number for number, label in enumerate(labels)}
    entries: dict[str, Any] = {}
    for place, (above, panel) in enumerate(panels.items(), start=1):
        entries |= _panel(figure.add_subplot(down, across, place), panel, above, numbers)
    entries |= {_PAPER: entries.pop(_PAPER)} if _PAPER in entries else {}
    # Below the axes, where it hides no curve.
    legend = figure.legend(
        entries.values(), entries, loc="outside lower center", ncols=columns, frameon=False, fontsize=8, handlelength=3
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    paths = []
    with as_sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # No date and fixed ids, so that the same values give the same file.
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "osakd", "svg.fonttype": "none"}):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # names of any script; the font has its boxes for them
        # The layout is found once for all kinds, so that each of them is drawn once.
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
        for kind, undated in _KINDS.items():
            stream = io.BytesIO()
            figure.savefig(stream, format=kind, dpi=160, metadata=undated)
            paths.append(folder / f"{name}.{kind}")
            write_atomic(paths[-1], stream.getvalue())
    return paths


def _panel(axes: "Axes", panel: RecordedPanel, above: str, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Draws a panel, and returns what its legend shows; a method looks the same in all panels."""
    from matplotlib.lines import Line2D

    shown, entries = trends(panel.curves, ACCURACY), {}
    banded = len(shown) <= MOST_BANDS
    low, high = limits(shown, ACCURACY)
    last = max(trend.epochs[-1] for trend in shown)
    for trend in shown:
        colour, dash = look(numbers[trend.label])
        (entries[printable(trend.label)],) = axes.plot(
            trend.epochs,
            trend.mean,
            color=_COLOURS[colour],
            linestyle=_DASHES[dash],
            marker="o" if len(trend.mean) == 1 else None,
            linewidth=1.5,
        )
        if banded:
            axes.fill_between(trend.epochs, *trend.band, color=_COLOURS[colour], alpha=0.13, linewidth=0)
    right = max(last, 2)
    for method in panel.planned_methods:
        if method.published and method.label in numbers:  # beside the last epoch, in the method's colour
            right += 0.025 * max(last, 2)
            mean, std = method.published.mean, method.published.std
            colour = _COLOURS[look(numbers[method.label])[0]]
            axes.errorbar(right, mean, std, color=colour, marker="D", markersize=4, capsize=2, linewidth=1)
            room = std + 0.05 * (high - low)
            low, high = min(low, mean - room), max(high, mean + room)
            entries[_PAPER] = Line2D([], [], color="#666666", marker="D", markersize=4, linestyle="")
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy (%)")
    seeds = sorted({trend.n for trend in shown})
    counted = f"{seeds[0]} seed{'s' * (seeds[0] > 1)}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    bands = ", band: ± one standard deviation" if banded and seeds[-1] > 1 else ""
    # Names are shown as they are: between two dollar signs matplotlib would take them for mathematics.
    axes.set_title(f"{printable(panel.caption(above))}\nmean of {counted}{bands}", fontsize=9, parse_math=False)
    axes.set_ylim(low, high)
    axes.set_xlim(1, right + (0.02 * last if right > last else 0))
    axes.set_xticks(epoch_ticks(1, max(last, 2)))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return entries
