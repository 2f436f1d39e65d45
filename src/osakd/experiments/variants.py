"""Soft labels worth having: the default, its controls, and what a user could take instead, in five settings.

Commands: ``osakd reproduce variants-search``, then ``osakd reproduce variants``; ``--panels`` and ``--methods`` choose.

Cost: a run takes two minutes of a core on ``resnet8-tenth`` and a quarter of a minute on ``lenet-tenth``.

Expected: the paper has no such numbers. The search compares methods in three settings by validation accuracy. The best
go into the study: ten seeds in five settings. In every run the weights are averaged along training too (decay 0.99), so
each method stands with and without averaging. What else was searched, and what was expected of it: docs/log.md.
"""

from collections.abc import Mapping
from typing import Any

from osakd.experiments.table1 import SVHN_SUBSET
from osakd.experiments.table2 import RECIPE
from osakd.methods.registry import CONSTANT_WEIGHT
from osakd.plan import SMOOTHING, TUNED, Experiment, Panel, PanelMethod

_SEARCH_SEEDS, _SEEDS = 3, 10
_BOTH: dict[str, Any] = {"validation": 0.1, "ema": 0.99}
_RESNET: dict[str, Any] = RECIPE | {"model": "resnet8", "fraction": 0.1}
_SMOOTHINGS = {"label-smoothing": 0.1, "label-smoothing=0.2": 0.2, "label-smoothing=0.3": 0.3}
_CONTROLS = {"shuffled": "shuffled-neighbours", "uniform": "uniform-smoothing"}
_RELIABLE = CONSTANT_WEIGHT | {"reliability": True}
_SQUARED = _RELIABLE | {"reliability_power": 2.0}
_DEFAULT = _SQUARED | {"pseudo_count": 0.25}
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
_PUBLISHED = ("cs-kd", "online-label-smoothing", "dlb", "bayesian-self-distillation", "tf-kd")
_SEARCH = {label: method for label, method in _STUDY.items() if not label.endswith(tuple(_CONTROLS))}
_SEARCH_TENTHS = _SEARCH | {name: name for name in _PUBLISHED}
_ALONE: dict[str, str | Mapping[str, Any]] = {"osakd-squared": {"name": "osakd", **_SQUARED}}
"""That one without its pseudo-count."""


def _panel(
    name: str,
    data: str,
    epochs: int,
    methods: Mapping[str, str | Mapping[str, Any]],
    *,
    seeds: int,
    note: str = "",
    **options: Any,
) -> Panel:
    return Panel(
        name,
        data,
        epochs=epochs,
        methods=tuple(PanelMethod(label, method) for label, method in methods.items()),
        seeds=seeds,
        options=_BOTH | options,
        compared_with=tuple(_SMOOTHINGS),
        ours="osakd-fixed",
        contrasts=_CONTRASTS,
        note=note,
    )


def _tenths(methods: Mapping[str, str | Mapping[str, Any]], seeds: int) -> tuple[Panel, Panel]:
    """The two small settings: one that underfits and one that overfits."""
    return (
        _panel("resnet8-tenth", "cifar10", 20, methods, seeds=seeds, evaluate_every=5, **_RESNET),
        _panel("lenet-tenth", "cifar10", 30, methods, seeds=seeds, evaluate_every=5, fraction=0.1, learning_rate=0.01),
    )


def _svhn(methods: Mapping[str, str | Mapping[str, Any]], seeds: int) -> Panel:
    options: dict[str, Any] = {"note": SVHN_SUBSET, "evaluate_every": 5, "learning_rate": 0.01}
    return _panel("lenet-svhn-subset", "svhn-subset", 30, methods, seeds=seeds, **options)


VARIANTS_SEARCH = Experiment(
    "variants-search",
    "Search among variants of the soft labels",
    (*_tenths(_SEARCH_TENTHS | _ALONE, _SEARCH_SEEDS), _svhn(_SEARCH | _ALONE, _SEARCH_SEEDS)),
    "validation",
    "variants",
)
VARIANTS = Experiment(
    "variants",
    "Soft labels against smoothing and averaging",
    (
        *_tenths(_STUDY, _SEEDS),
        _panel("lenet-cifar10", "cifar10", 100, _STUDY, seeds=_SEEDS),
        _panel(
            "lenet-fashion-fifth",
            "fashion_mnist",
            30,
            _STUDY,
            seeds=_SEEDS,
            evaluate_every=5,
            fraction=0.2,
            learning_rate=0.01,
        ),
        _svhn(_STUDY, _SEEDS),
    ),
    "study",
)
