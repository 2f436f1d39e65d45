"""Soft labels worth having: the default, its controls, and what a user could take instead, in five settings.

Command: ``osakd reproduce variants``; ``--panels`` and ``--methods`` choose.

Cost: a run takes two minutes of a core on ``resnet8-tenth`` and a quarter of a minute on ``lenet-tenth``.

Expected: the paper has no such numbers. Ten seeds in five settings. In every run the weights are averaged along
training too (decay 0.99), so each method stands with and without averaging. How these methods were searched, and what
was expected of them: docs/log.md.
"""

from collections.abc import Mapping
from typing import Any

from osakd.experiments.table1 import SVHN_SUBSET
from osakd.experiments.table2 import RECIPE
from osakd.methods.registry import CONSTANT_WEIGHT
from osakd.plan import SMOOTHING, TUNED, Experiment, Panel, PanelMethod

_BOTH: dict[str, Any] = {"validation": 0.1, "ema": 0.99}
_OFTEN: dict[str, Any] = {"evaluate_every": 5}
_FAST: dict[str, Any] = _OFTEN | {"learning_rate": 0.01}
_SMOOTHINGS = {"label-smoothing": 0.1, "label-smoothing=0.2": 0.2, "label-smoothing=0.3": 0.3}
_CONTROLS = {"shuffled": "shuffled-neighbours", "uniform": "uniform-smoothing"}
_RELIABLE = CONSTANT_WEIGHT | {"reliability": True}
_DEFAULT = _RELIABLE | {"reliability_power": 2.0, "pseudo_count": 0.25}
"""The default for ten classes, before its reliability was scored with the best of several pseudo-counts."""
_STUDY: dict[str, str | Mapping[str, Any]] = {
    "plain": "plain",
    **{label: {"name": "label-smoothing", "smoothing": smoothing} for label, smoothing in _SMOOTHINGS.items()},
    "osakd-constant": "osakd-constant",
    "osakd-reliable": {"name": "osakd", **_RELIABLE},
    **{f"osakd-reliable-{control}": {"name": name, **_RELIABLE} for control, name in _CONTROLS.items()},
    "osakd-fixed": {"name": "osakd", **_DEFAULT},
    **{f"osakd-fixed-{control}": {"name": name, **_DEFAULT} for control, name in _CONTROLS.items()},
    "osakd-paper-8nn": "osakd-paper",
    "ps-kd": "ps-kd",
    "bake": "bake",
}
_CONTRASTS = {
    "osakd-fixed": (
        "plain", TUNED, SMOOTHING, "osakd-fixed-shuffled", "osakd-fixed-uniform", "osakd-reliable", "osakd-constant",
        "ps-kd",
    ),
    "osakd-reliable": ("osakd-reliable-shuffled", "osakd-reliable-uniform"),
}  # fmt: skip
"""The questions: worse than plain training? ahead of smoothing? are the neighbours what helps? and the others?"""


def _panel(name: str, data: str, epochs: int, *, note: str = "", **options: Any) -> Panel:
    return Panel(
        name,
        data,
        epochs=epochs,
        methods=tuple(PanelMethod(label, method) for label, method in _STUDY.items()),
        seeds=10,
        options=_BOTH | options,
        ours="osakd-fixed",
        contrasts=_CONTRASTS,
        note=note,
    )


VARIANTS = Experiment(
    "variants",
    "Soft labels against smoothing and averaging",
    (
        _panel("resnet8-tenth", "cifar10", 20, **_OFTEN | RECIPE | {"model": "resnet8", "fraction": 0.1}),
        _panel("lenet-tenth", "cifar10", 30, fraction=0.1, **_FAST),
        _panel("lenet-cifar10", "cifar10", 100),
        _panel("lenet-fashion-fifth", "fashion_mnist", 30, fraction=0.2, **_FAST),
        _panel("lenet-svhn-subset", "svhn-subset", 30, note=SVHN_SUBSET, **_FAST),
    ),
    "study",
)
