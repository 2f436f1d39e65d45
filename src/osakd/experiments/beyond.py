"""Beyond the paper: is there a variant of OSAKD that beats label smoothing?

Command: ``osakd reproduce beyond``.

Cost: 16 runs of 60 epochs on CIFAR-10, all in one program.

Expected: nothing; the paper has no such numbers.

Two candidates, both within the mini-batch: labels averaged over the epochs (``averaged-neighbours``), and neighbours
weighted by distance (``weighted-neighbours``), alone and together. Their settings are searched with one seed by
validation accuracy, a tenth of the training images held out; label smoothing is searched too. The best of each goes
into the confirmation of ``osakd reproduce readings``, with five seeds.
"""

from typing import Any

from osakd.methods.registry import CONSTANT_WEIGHT, PRESETS
from osakd.plan import Cell, Column, Experiment

CENTRE = {key: value for key, value in PRESETS["osakd-paper"].items() if key not in ("name", *CONSTANT_WEIGHT)}
"""Settings that are varied, one at a time. Every cell has all of them: it stays as it is when defaults change."""

AVERAGED: dict[str, dict[str, Any]] = {
    "averaged": {},
    "averaged-k=4": {"k": 4},
    "averaged-k=16": {"k": 16},
    "averaged-weight=0.3": {"soft_weight": 0.3},
    "averaged-weight=2": {"soft_weight": 2.0},
    "averaged-pseudo_count=0.5": {"pseudo_count": 0.5},
}
WEIGHTED: dict[str, dict[str, Any]] = {
    "weighted": {},
    "weighted-k=16": {"k": 16},
    "weighted-weight=0.3": {"soft_weight": 0.3},
    "weighted-k=16-weight=0.3": {"k": 16, "soft_weight": 0.3},
    "both": {"momentum": 0.9},
    "both-k=16": {"momentum": 0.9, "k": 16},
    "both-weight=2": {"momentum": 0.9, "soft_weight": 2.0},
    "both-k=16-weight=2": {"momentum": 0.9, "k": 16, "soft_weight": 2.0},
}

SEARCH = Column(
    "search",
    "cifar10",
    epochs=60,
    cells=(
        Cell("label-smoothing", "label-smoothing"),
        Cell("label-smoothing=0.2", {"name": "label-smoothing", "smoothing": 0.2}),
        *(Cell(label, {"name": "averaged-neighbours", **CENTRE, **settings}) for label, settings in AVERAGED.items()),
        *(Cell(label, {"name": "weighted-neighbours", **CENTRE, **settings}) for label, settings in WEIGHTED.items()),
    ),
    seeds=1,
    options={"validation": 0.1},
)

BEYOND = Experiment("beyond", "Beyond the paper: two candidates against label smoothing", (SEARCH,), "readings")
