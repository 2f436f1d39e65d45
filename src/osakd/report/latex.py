r"""The tables as LaTeX: ``\input`` them in a document that uses the package booktabs."""

from collections.abc import Sequence

from osakd.report.grids import Grid
from osakd.report.tables import MINUS

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
}


def escaped(text: str) -> str:
    r"""Text in which no character has a meaning of LaTeX's; a minus before a number is one.

    Example:
        >>> escaped("64.5 ± 0.3 % of k=8_a"), escaped("-0.09 [-0.86, +0.68]")
        ('64.5 $\\pm$ 0.3 \\% of k=8\\_a', '$-$0.09 [$-$0.86, +0.68]')
    """
    return MINUS.sub("$-$", "".join(_ESCAPES.get(character, character) for character in text))


def latex_table(grid: Grid, caption: str) -> str:
    """A table with its caption.

    Args:
        grid: the table.
        caption: over it; escaped here.
    """
    columns = "".join("l" if number in grid.text else "r" for number in range(len(grid.head)))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _row(grid.head),
            r"\midrule",
            *(_row(row) for row in grid.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _row(cells: Sequence[str]) -> str:
    # A bracket after a line's end would be taken for its optional argument.
    return " & ".join(f"{{{escaped(cell)}}}" if cell.startswith("[") else escaped(cell) for cell in cells) + r" \\"
