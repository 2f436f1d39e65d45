"""The study of what the paper leaves open: one choice at a time around a centre, chosen by validation accuracy.

Command: ``osakd reproduce readings``.

Cost: 20 runs of 60 epochs on CIFAR-10, and a second seed of those within a point of the best; then 45 runs of 100
epochs, which confirm the best readings and candidates with five seeds beside their controls.

Expected: PAPER's gap of +2.0 points between plain training and OSAKD-8NN at the best epoch, if a reading gives it.

A tenth of the training images is held out in every run, drawn by seed. The centre is ``osakd-paper``:
neighbours in the mini-batch of 64, among softmax outputs, the sample itself left out, cross-entropy + 0.9 KL, k = 8.
"""

from typing import Any

from osakd.experiments.beyond import AVERAGED, CENTRE, WEIGHTED
from osakd.methods.registry import CONSTANT_WEIGHT
from osakd.plan import Cell, Column, Experiment

_CHOICES: dict[str, dict[str, Any]] = {
    "centre": {},
    "memory": {"pool": "memory"},
    "logits": {"space": "logits"},
    "self-counted": {"include_self": True},
    "mse": {"divergence": "mse"},
    "mse-sum": {"divergence": "mse_sum"},
    "convex": {"balance": "convex"},
    "convex-reversed": {"balance": "convex_reversed"},
    "k=4": {"k": 4},
    "k=16": {"k": 16},
    "k=32": {"k": 32},
    "weight=0.3": {"soft_weight": 0.3},
    "weight=3": {"soft_weight": 3.0},
}
_BATCHES = (32, 128)


def _with_batch(size: int) -> tuple[Cell, Cell]:
    """The centre and plain training with another batch size."""
    options, plain = {"batch_size": size}, f"plain-batch={size}"
    return Cell(f"batch={size}", "osakd-paper", options=options, baseline=plain), Cell(plain, "plain", options=options)


STUDY = Column(
    "study",
    "cifar10",
    epochs=60,
    cells=(
        *(Cell(name, name) for name in ("plain", "label-smoothing")),
        Cell("uniform-smoothing", {"name": "uniform-smoothing", **CENTRE, **CONSTANT_WEIGHT}),
        *(Cell(label, {"name": "osakd-paper", **CENTRE, **settings}) for label, settings in _CHOICES.items()),
        *(cell for size in _BATCHES for cell in _with_batch(size)),
    ),
    seeds=1,
    options={"validation": 0.1},
    again_within=0.01,
    ours="centre",
)

_RATE, _WEIGHT = 0.001, 0.9
"""CE + 0.9 KL has a gradient 1.9 times as long where both terms agree: plain training gets that step size too."""

CONFIRMATION = Column(
    "confirmation",
    "cifar10",
    epochs=100,
    cells=(
        Cell("plain", "plain"),
        Cell("plain-rate=0.0019", "plain", options={"learning_rate": _RATE * (1 + _WEIGHT)}),
        Cell("label-smoothing", "label-smoothing"),
        Cell("uniform-self-counted", {"name": "uniform-smoothing", **CENTRE, "include_self": True, **CONSTANT_WEIGHT}),
        *(
            Cell(label, {"name": "osakd-paper", **CENTRE, **_CHOICES[label]})
            for label in ("self-counted", "k=4", "weight=0.3")
        ),
        Cell("averaged", {"name": "averaged-neighbours", **CENTRE, **AVERAGED["averaged"]}),
        Cell("weighted-k=16", {"name": "weighted-neighbours", **CENTRE, **WEIGHTED["weighted-k=16"]}),
    ),
    options={"validation": 0.1},
    chose=(0, 1),
    rivals=("label-smoothing", "self-counted"),
    ours="self-counted",
)
"""The three best readings of the study but for the batch size, and the best of each candidate of ``beyond``, all by
validation accuracy. A run of the study that is continued here is the same run to its 60th epoch, where the same
executor made it: the first two seeds are no news of the cells that they chose."""

READINGS = Experiment("readings", "Readings of what the paper leaves open", (STUDY, CONFIRMATION), "readings")
