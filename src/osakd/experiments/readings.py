"""The study of what the paper leaves open: one choice at a time around a centre, chosen by validation accuracy.

Command: ``osakd reproduce readings``.

Cost: 20 runs of 60 epochs on CIFAR-10; then 35 runs of 100 epochs, which confirm the best readings with five seeds
beside their controls. Methods of the study within a point of the best got a second seed (``--methods``, ``--seeds 2``).

Expected: the paper's gap of +2.0 points between plain training and OSAKD-8NN at the best epoch, if a reading gives it.

A tenth of the training images is held out in every run, drawn by seed. The centre is ``osakd-paper-8nn``: neighbours in
the mini-batch of 64, among softmax outputs, the sample itself left out, cross-entropy + 0.9 KL, k = 8.
"""

from typing import Any

from osakd.methods.registry import PRESETS
from osakd.plan import Experiment, Panel, PanelMethod

_CENTRE = {key: value for key, value in PRESETS["osakd-paper"].items() if key != "name"}
"""Settings that are varied, one at a time. Every method has all of them: it stays as it is when defaults change."""
_UNIFORM = {"name": "uniform-smoothing", **_CENTRE}
_CONSTANT, _FOUR, _LESS = "osakd-constant", "osakd-paper-4nn", "osakd-paper-8nn-weight=0.3"
_READINGS: dict[str, dict[str, Any]] = {
    "osakd-paper-8nn": {},
    "osakd-paper-8nn-memory": {"pool": "memory"},
    "osakd-paper-8nn-logits": {"space": "logits"},
    _CONSTANT: {"include_self": True},
    "osakd-paper-8nn-mse": {"divergence": "mse"},
    "osakd-paper-8nn-mse-sum": {"divergence": "mse_sum"},
    "osakd-paper-8nn-convex": {"balance": "convex"},
    "osakd-paper-8nn-convex-reversed": {"balance": "convex_reversed"},
    _FOUR: {"k": 4},
    "osakd-paper-16nn": {"k": 16},
    "osakd-paper-32nn": {"k": 32},
    _LESS: {"soft_weight": 0.3},
    "osakd-paper-8nn-weight=3": {"soft_weight": 3.0},
}
_METHODS = {
    label: PanelMethod(label, {"name": "osakd", **_CENTRE, **settings}) for label, settings in _READINGS.items()
}


def _with_batch(size: int) -> tuple[PanelMethod, PanelMethod]:
    """The centre and plain training with another batch size."""
    options, plain = {"batch_size": size}, f"plain-batch={size}"
    centre = PanelMethod(f"osakd-paper-8nn-batch={size}", "osakd-paper", options=options, baseline=plain)
    return centre, PanelMethod(plain, "plain", options=options)


STUDY = Panel(
    "study",
    "cifar10",
    epochs=60,
    methods=(
        PanelMethod("plain", "plain"),
        PanelMethod("label-smoothing", "label-smoothing"),
        PanelMethod("osakd-paper-8nn-uniform", _UNIFORM),
        *_METHODS.values(),
        *_with_batch(32),
        *_with_batch(128),
    ),
    seeds=1,
    options={"validation": 0.1},
    ours="osakd-paper-8nn",
)

_RATE, _WEIGHT = 0.001, 0.9
"""CE + 0.9 KL has a gradient 1.9 times as long where both terms agree: plain training gets that step size too."""

CONFIRMATION = Panel(
    "confirmation",
    "cifar10",
    epochs=100,
    methods=(
        PanelMethod("plain", "plain"),
        PanelMethod("plain-rate=0.0019", "plain", options={"learning_rate": _RATE * (1 + _WEIGHT)}),
        PanelMethod("label-smoothing", "label-smoothing"),
        PanelMethod("osakd-constant-uniform", _UNIFORM | {"include_self": True}),
        *(_METHODS[label] for label in (_CONSTANT, _FOUR, _LESS)),
    ),
    options={"validation": 0.1},
    chose=(0, 1),
    compared_with=("label-smoothing", _CONSTANT),
    ours=_CONSTANT,
)
"""The three best readings of the study by validation accuracy, but for the batch size. A run of the study that is
continued here is the same run to its 60th epoch, where the same executor made it. The first two seeds chose these
methods, so they are no evidence for them."""

READINGS = Experiment("readings", "Readings of what the paper leaves open", (STUDY, CONFIRMATION), "validation")
