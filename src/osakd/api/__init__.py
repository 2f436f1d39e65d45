"""The commands as Python functions, with the same names and defaults. Torch is imported when one is called."""

from osakd.api.comparisons import DEFAULT_METHODS, DEFAULT_SEEDS, Comparison, compare
from osakd.api.experiments import reproduce
from osakd.api.runs import Run, evaluate, load, train

__all__ = [
    "DEFAULT_METHODS",
    "DEFAULT_SEEDS",
    "Comparison",
    "Run",
    "compare",
    "evaluate",
    "load",
    "reproduce",
    "train",
]
