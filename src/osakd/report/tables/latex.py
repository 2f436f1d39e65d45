r"""The tables as LaTeX: ``\input`` them in a document that uses the package booktabs."""

from collections.abc import Sequence

from osakd.report.statistics.format import MINUS
from osakd.report.tables.table import Row, Table

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
    r"""Text with LaTeX's special characters escaped, and a minus before numbers.

    Example:
        >>> escaped("64.5 ± 0.3 % of k=8_a"), escaped("-0.09 [-0.86, +0.68]")
        ('64.5 $\\pm$ 0.3 \\% of k=8\\_a', '$-$0.09 [$-$0.86, +0.68]')
    """
    return MINUS.sub("$-$", "".join(_ESCAPES.get(character, character) for character in text))


def latex(table: Table[Row], caption: str) -> str:
    """A table with its caption.

    Args:
        table: the table.
        caption: caption over it; escaped here.
    """
    columns = "".join("l" if column.is_text else "r" for column in table.columns)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _line(table.head),
            r"\midrule",
            *(_line(row) for row in table.cells),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    # A bracket after a line's end would be taken for its optional argument.
    return " & ".join(f"{{{escaped(cell)}}}" if cell.startswith("[") else escaped(cell) for cell in cells) + r" \\"
