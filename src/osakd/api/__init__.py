"""The commands as Python functions, with the same names and defaults. Torch is imported when one is called."""

from osakd.api.comparisons import DEFAULT_METHODS, DEFAULT_SEEDS, Comparison, IncompleteError, compare
from osakd.api.reports import Packed, pack, write_report
from osakd.api.runs import Run, evaluate, load, train

__all__ = [
    "DEFAULT_METHODS",
    "DEFAULT_SEEDS",
    "Comparison",
    "IncompleteError",
    "Packed",
    "Run",
    "compare",
    "evaluate",
    "load",
    "pack",
    "train",
    "write_report",
]
