"""The learning curves of a comparison: mean test accuracy over seeds, with a band of one standard deviation."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from osakd.durable import write_atomic
from osakd.errors import as_sentences, printable
from osakd.report.charts.lines import limits
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.trends import ACCURACY, MOST_BANDS, trends

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can distinguish too.
_COLOURS = ("#000000", "#0072B2", "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#F0E442")
_MOST_IN_A_COLUMN = 22  # of the legend: more do not fit into the height of the axes
_STYLES = ("-", "--", ":")
_UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}


def write_curves(
    panels: Mapping[str, RecordedPanel], folder: Path, *, name: str = "curves", kinds: Sequence[str] = ("svg", "png")
) -> list[Path]:
    """Draws the learning curves of panels side by side in one picture, two in a row.

    Args:
        panels: panels with finished runs, at least one, by the name that stands above their panel; an empty name
            stands for the whole title, for which there is room in a picture of one panel.
        folder: folder to write into, which is made.
        name: name of the files, without their endings.
        kinds: formats: ``svg``, ``png`` or ``pdf``.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(2, len(panels))
    down = -(-len(panels) // across)
    size = (7.5, 4.6) if across == 1 else (11.0, 4.2 * down)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    labels = dict.fromkeys(label for panel in panels.values() for label in panel.curves)
    numbers = {label: number for number, label in enumerate(labels)}
    for place, (above, panel) in enumerate(panels.items(), start=1):
        _panel(figure.add_subplot(down, across, place), panel, above, numbers)
    paths = []
    with as_sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # No date and fixed ids, so that the same values give the same file.
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "osakd", "svg.fonttype": "none"}):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # names of any script; the font has its boxes for them
        # The layout is found once for all kinds, so that each of them is drawn once.
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
        for kind in kinds:
            stream = io.BytesIO()
            figure.savefig(stream, format=kind, dpi=160, metadata=_UNDATED[kind])
            paths.append(folder / f"{name}.{kind}")
            write_atomic(paths[-1], stream.getvalue())
    return paths


def _panel(axes: "Axes", panel: RecordedPanel, above: str, numbers: Mapping[str, int]) -> None:
    """The curves of a panel; a method has the same number in all panels, and so the same colour."""
    from matplotlib.ticker import MaxNLocator

    shown = trends(panel.curves, ACCURACY)
    banded = len(shown) <= MOST_BANDS
    for trend in shown:
        number = numbers[trend.label]
        colour, style = _COLOURS[number % len(_COLOURS)], _STYLES[number // len(_COLOURS) % len(_STYLES)]
        axes.plot(
            trend.epochs,
            trend.mean,
            color=colour,
            linestyle=style,
            marker="o" if len(trend.mean) == 1 else None,
            linewidth=1.6,
            label=f"{printable(trend.label)} (n = {trend.n})",
        )
        if banded:
            axes.fill_between(trend.epochs, *trend.band, color=colour, alpha=0.14, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy (%)")
    bands = ", band: ± one standard deviation" if banded else ""
    # Names are shown as they are: between two dollar signs matplotlib would take them for mathematics.
    words = f"{above}, {panel.finished[0].config.model}, {panel.epochs} epochs" if above else panel.title
    axes.set_title(f"{printable(words)}\nmean over seeds{bands}", fontsize=9, parse_math=False)
    low, high = axes.set_ylim(*limits(shown, ACCURACY))
    axes.set_xlim(1, max(panel.epochs, 2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    end = fmean(trend.mean[-1] for trend in shown)
    where = "lower right" if end >= (low + high) / 2 else "upper right"  # where the curves do not end
    legend = axes.legend(frameon=False, loc=where, fontsize=9, ncols=1 + (len(shown) - 1) // _MOST_IN_A_COLUMN)
    legend.set_in_layout(False)  # it lies inside the axes, and takes half of the time to lay out
    for text in legend.get_texts():
        text.set_parse_math(False)
    axes.spines[["top", "right"]].set_visible(False)
