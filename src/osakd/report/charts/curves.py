"""The learning curves of a comparison: mean test accuracy over seeds, with a band of one standard deviation."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from osakd.durable import write_atomic
from osakd.errors import as_sentences, printable
from osakd.report.statistics.aggregate import MethodSummary, Summary
from osakd.report.statistics.curves import mean_and_std
from osakd.report.statistics.format import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can distinguish too.
_COLOURS = ("#000000", "#0072B2", "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#F0E442")
_MOST_BANDS = 6  # more of them hide the curves
_MOST_IN_A_COLUMN = 22  # of the legend: more do not fit into the height of the axes
_STYLES = ("-", "--", ":")
_UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}


def write_curves(
    summary: Summary, folder: Path, *, name: str = "curves", kinds: Sequence[str] = ("svg", "png")
) -> list[Path]:
    """Draws the learning curves of a comparison.

    Args:
        summary: summary of the comparison.
        folder: folder to write into, which is made.
        name: name of the files, without their endings.
        kinds: formats: ``svg``, ``png`` or ``pdf``.

    Returns:
        The paths of the files.
    """
    return _write({"": summary}, folder, name, kinds)


def write_panels(
    summaries: Mapping[str, Summary], folder: Path, *, name: str, kinds: Sequence[str] = ("svg", "png")
) -> list[Path]:
    """Draws the learning curves of several comparisons as panels of one picture, two in a row.

    Args:
        summaries: summaries of the comparisons by the name that stands above their panel, at least one.
        folder: folder to write into, which is made.
        name: name of the files, without their endings.
        kinds: formats: ``svg``, ``png`` or ``pdf``.

    Returns:
        The paths of the files.
    """
    return _write(summaries, folder, name, kinds)


def _write(summaries: Mapping[str, Summary], folder: Path, name: str, kinds: Sequence[str]) -> list[Path]:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(2, len(summaries))
    rows = -(-len(summaries) // columns)
    size = (7.5, 4.6) if columns == 1 else (11.0, 4.2 * rows)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    labels = dict.fromkeys(method.label for summary in summaries.values() for method in _deployed(summary))
    numbers = {label: number for number, label in enumerate(labels)}
    for number, (above, summary) in enumerate(summaries.items(), start=1):
        _panel(figure.add_subplot(rows, columns, number), summary, above, numbers)
    # The layout is found once for all kinds, so that each of them is drawn once.
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    paths = []
    with as_sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        stream = io.BytesIO()
        # No date and fixed ids, so that the same values give the same file.
        with mpl.rc_context({"svg.hashsalt": "osakd", "svg.fonttype": "none"}):
            figure.savefig(stream, format=kind, dpi=160, metadata=_UNDATED[kind])
        paths.append(folder / f"{name}.{kind}")
        write_atomic(paths[-1], stream.getvalue())
    return paths


def _deployed(summary: Summary) -> list[MethodSummary]:
    return [method for method in summary.methods if method.predictor is None]


def _panel(axes: "Axes", summary: Summary, above: str, numbers: Mapping[str, int]) -> None:
    """The curves of a comparison.

    The name ``above`` stands in place of the whole title, for which a panel is small. A method's number is the same in
    all panels, and so is its colour.
    """
    from matplotlib.ticker import MaxNLocator

    deployed = _deployed(summary)
    banded = len(deployed) <= _MOST_BANDS
    for method in deployed:
        number = numbers[method.label]
        mean, std = mean_and_std(method)
        epochs = method.epochs[: len(mean)]
        colour, style = _COLOURS[number % len(_COLOURS)], _STYLES[number // len(_COLOURS) % len(_STYLES)]
        marker = "o" if len(mean) == 1 else None
        axes.plot(
            epochs,
            mean,
            color=colour,
            linestyle=style,
            marker=marker,
            linewidth=1.6,
            label=f"{printable(method.label)} (n = {len(method.seeds)})",
        )
        if banded:
            axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.14, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy (%)")
    bands = ", band: ± one standard deviation" if banded else ""
    # Names are shown as they are: between two dollar signs matplotlib would take them for mathematics.
    words = f"{above}, {summary.model}, {summary.epochs} epochs" if above else title(summary)
    axes.set_title(f"{printable(words)}\nmean over seeds{bands}", fontsize=9, parse_math=False)
    low, high = axes.set_ylim(*_limits(deployed))
    axes.set_xlim(1, max(summary.epochs, 2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    ends = [float(mean_and_std(method)[0][-1]) for method in deployed]
    where = "lower right" if fmean(ends) >= (low + high) / 2 else "upper right"  # where the curves do not end
    columns = 1 + (len(deployed) - 1) // _MOST_IN_A_COLUMN
    legend = axes.legend(frameon=False, loc=where, fontsize=9, ncols=columns)
    legend.set_in_layout(False)  # it lies inside the axes, and takes half of the time to lay out
    for text in legend.get_texts():
        text.set_parse_math(False)
    axes.spines[["top", "right"]].set_visible(False)


def _limits(methods: list[MethodSummary]) -> tuple[float, float]:
    """Limits of the vertical axis: the later two thirds whole, for the steep first epochs would flatten them."""
    low, high = [], []
    for mean, std in map(mean_and_std, methods):
        later = len(mean) // 3
        low.append(float((mean - std)[later:].min()))
        high.append(float((mean + std).max()))
    return max(0.0, min(low) - 1.0), min(100.0, max(high) + 0.5)
