"""The learning curves of a comparison: mean test accuracy over seeds, with a band of one standard deviation."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from osakd.records import as_sentences, write_atomic
from osakd.report.aggregate import MethodSummary, Summary
from osakd.report.pooled import smaller
from osakd.report.tables import markdown_table, title
from osakd.report.verdicts import PaperCell, missing

# Okabe and Ito's colours, told apart by colour-blind readers too.
_COLOURS = ("#000000", "#0072B2", "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#F0E442")
_MOST_BANDS = 6  # more of them hide the curves
_STYLES = ("-", "--", ":")
_UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}


def write_curves(
    summary: Summary, folder: Path, *, name: str = "curves", kinds: Sequence[str] = ("svg", "png")
) -> list[Path]:
    """Writes the curves into a folder, which is made; their paths.

    Args:
        summary: of the comparison.
        folder: to write into.
        name: of the files, without their endings.
        kinds: ``svg``, ``png`` or ``pdf``.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    deployed = [method for method in summary.methods if method.predictor is None]
    banded = len(deployed) <= _MOST_BANDS
    for number, method in enumerate(deployed):
        mean, std = _mean_and_std(method)
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
            label=f"{method.label} (n = {len(method.seeds)})",
        )
        if banded:
            axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.14, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy (%)")
    bands = ", band: ± one standard deviation" if banded else ""
    # Names are shown as they are: between two dollar signs matplotlib would take them for mathematics.
    axes.set_title(f"{title(summary)}\nmean over seeds{bands}", fontsize=9, parse_math=False)
    axes.set_ylim(*_limits(deployed))
    axes.set_xlim(1, max(summary.epochs, 2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    for text in axes.legend(frameon=False, loc="lower right", fontsize=9).get_texts():
        text.set_parse_math(False)
    axes.spines[["top", "right"]].set_visible(False)
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


def curves_text(summary: Summary, paths: list[Path], cells: Sequence[PaperCell], *, wanted: tuple[int, int]) -> str:
    """The curves in numbers, and where they are drawn: the mean test accuracy at five epochs, and where it is best.

    Args:
        summary: of a column.
        paths: of the drawings.
        cells: that were planned.
        wanted: seeds and epochs that were planned; what is smaller or missing is said.
    """
    fraction = summary.configuration["fraction"]
    deployed = [method for method in summary.methods if method.predictor is None]
    head, rows = ["method", "n"], []
    shown = sorted({max(1, summary.epochs * part // 5) for part in range(1, 6)})
    head += [f"epoch {epoch}" for epoch in shown] + ["best mean (at)"]
    for method in deployed:
        mean, _ = _mean_and_std(method)
        at = dict(zip(method.epochs, mean.tolist(), strict=False))
        best = max(at, key=lambda epoch: at[epoch])
        seeds = len(method.seeds)
        rows.append([method.label, f"{seeds}{smaller(seeds, method.trained, wanted, fraction)}"])
        rows[-1] += [f"{at[epoch]:.2f}" if epoch in at else "-" for epoch in shown] + [f"{at[best]:.2f} ({best})"]
    lines = [f"**{title(summary)}**", markdown_table(head, rows).rstrip(), missing(cells, summary.methods, wanted[0])]
    lines.append(f"Drawn in {', '.join(str(path) for path in paths)}." if paths else "")
    return "\n\n".join(filter(None, lines))


def _mean_and_std(method: MethodSummary) -> tuple[np.ndarray, np.ndarray]:
    shortest = min(len(curve) for curve in method.curves)
    curves = 100 * np.array([curve[:shortest] for curve in method.curves])
    std = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(shortest)
    return curves.mean(axis=0), std


def _limits(methods: list[MethodSummary]) -> tuple[float, float]:
    """The first steep epochs would flatten everything that matters: the axis shows the later two thirds whole."""
    low, high = [], []
    for mean, std in map(_mean_and_std, methods):
        later = len(mean) // 3
        low.append(float((mean - std)[later:].min()))
        high.append(float((mean + std).max()))
    return max(0.0, min(low) - 1.0), min(100.0, max(high) + 0.5)
