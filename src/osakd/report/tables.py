"""The table of a comparison, for a terminal and as Markdown."""

import re

from osakd.report.aggregate import Difference, Spread, Summary

MINUS = re.compile(r"(?<![\w.)])-(?=\d)")
"""A hyphen that stands for a minus: before a number, not in a word, a range or an exponent."""


def table_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """The head and the rows; accuracies and ECE in per cent, mean ± standard deviation over seeds."""
    validated = any("chosen_on_validation" in method.spreads for method in summary.methods)
    head = ["method", "n", "last epoch %", "vs plain [95 % CI]", "best on test %", "vs plain [95 % CI]"]
    head += ["chosen on validation %"] if validated else []
    costed = all("step_ms" in method.spreads for method in summary.methods)
    head += ["NLL", "ECE %", *(["step ms", "MiB"] if costed else [])]
    rows = []
    for method in summary.methods:
        row = [method.label, str(len(method.seeds))]
        for key in ("last", "best_on_test"):
            row += [percent(method.spreads[key]), points(method.differences.get(key), len(method.seeds))]
        row += [percent(method.spreads.get("chosen_on_validation"))] if validated else []
        row += [nats(method.spreads["nll"]), percent(method.spreads["ece"])]
        if costed:
            of_run = method.predictor is None
            row += [f"{method.spreads[key].mean:.1f}" if of_run else "" for key in ("step_ms", "memory_mib")]
        rows.append(row)
    return head, rows


def markdown(summary: Summary) -> str:
    """The table as Markdown."""
    return markdown_table(*table_rows(summary))


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """A head and rows as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def title(summary: Summary) -> str:
    """One line over the table: what was compared on what."""
    data = summary.data
    channels, height, width = data["input_shape"]
    share = summary.configuration["fraction"]
    return (
        f"{data['name']} ({data['train']:,} + {data['test']:,} images, {height}x{width}x{channels}, "
        f"content {data['content'][:8]}), {summary.model}, {summary.epochs} epoch{'s' if summary.epochs > 1 else ''}"
        f"{f', {100 * share:g} % of the training images' if share < 1 else ''}"
    )


def percent(spread: Spread | None) -> str:
    """A share as per cent: ``93.07 ± 0.17``."""
    if spread is None:
        return "-"
    return f"{100 * spread.mean:.2f}" + ("" if spread.std is None else f" ± {100 * spread.std:.2f}")


def nats(spread: Spread) -> str:
    """A negative log-likelihood: ``1.016 ± 0.010``."""
    return f"{spread.mean:.3f}" + ("" if spread.std is None else f" ± {spread.std:.3f}")


def points(difference: Difference | None, runs: int | None = None) -> str:
    """A difference in points: ``+0.86 [+0.20, +1.52]``.

    Args:
        difference: which.
        runs: of the row it stands in; where it has another number of pairs, that is said: ``+1.26 (1 pair)``.
    """
    if difference is None:
        return "-"
    text = f"{100 * difference.mean:+.2f}"
    if difference.low is not None and difference.high is not None:
        text += f" [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"
    if runs is None or runs == difference.n:
        return text
    return f"{text} ({difference.n} pair{'s' * (difference.n > 1)})"
