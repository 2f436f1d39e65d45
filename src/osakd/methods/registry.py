"""The methods by name: one entry each. Torch is imported only to build one.

A new method is its module, its settings class, its card in docs/methods, and a row here.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from osakd.methods.settings.base import Settings
from osakd.methods.settings.neighbours import (
    AveragedSettings,
    BayesSettings,
    OSAKDSettings,
    ShuffledSettings,
    UniformSettings,
    WeightedSettings,
)
from osakd.methods.settings.networks import CodistillationSettings, DMLSettings, FFLSettings, ONESettings
from osakd.methods.settings.plain import LabelSmoothingSettings, PlainSettings
from osakd.methods.settings.predictions import (
    BAKESettings,
    BayesianSelfDistillationSettings,
    CSKDSettings,
    DLBSettings,
    OnlineLabelSmoothingSettings,
    PSKDSettings,
    TfKDSettings,
    ZipfSettings,
)
from osakd.methods.settings.teachers import BornAgainSettings, KDSettings, SRDLSettings
from osakd.records import RunConfig

if TYPE_CHECKING:
    from osakd.methods.base import BuildContext, Method


class MethodEntry(NamedTuple):
    """A method.

    Attributes:
        settings: its settings class; the first line of its docstring is the method's description and source.
        builder: ``module:function`` that builds the method from its settings and a ``BuildContext``.
    """

    settings: type[Settings]
    builder: str


_SELF_DISTILLATION = "osakd.methods.self_distillation"
METHODS: dict[str, MethodEntry] = {
    "plain": MethodEntry(PlainSettings, f"{_SELF_DISTILLATION}:build_plain"),
    "osakd": MethodEntry(OSAKDSettings, f"{_SELF_DISTILLATION}:build_osakd"),
    "averaged-neighbours": MethodEntry(AveragedSettings, f"{_SELF_DISTILLATION}:build_averaged"),
    "weighted-neighbours": MethodEntry(WeightedSettings, f"{_SELF_DISTILLATION}:build_weighted"),
    "osakd-bayes": MethodEntry(BayesSettings, "osakd.methods.bayes:build"),
    "label-smoothing": MethodEntry(LabelSmoothingSettings, f"{_SELF_DISTILLATION}:build_label_smoothing"),
    "uniform-smoothing": MethodEntry(UniformSettings, f"{_SELF_DISTILLATION}:build_uniform"),
    "shuffled-neighbours": MethodEntry(ShuffledSettings, f"{_SELF_DISTILLATION}:build_shuffled"),
    "tf-kd": MethodEntry(TfKDSettings, "osakd.methods.tf_kd:build"),
    "zipf": MethodEntry(ZipfSettings, "osakd.methods.zipf:build"),
    "online-label-smoothing": MethodEntry(OnlineLabelSmoothingSettings, "osakd.methods.online_label_smoothing:build"),
    "ps-kd": MethodEntry(PSKDSettings, "osakd.methods.ps_kd:build"),
    "bayesian-self-distillation": MethodEntry(
        BayesianSelfDistillationSettings, "osakd.methods.bayesian_self_distillation:build"
    ),
    "dlb": MethodEntry(DLBSettings, "osakd.methods.dlb:build"),
    "cs-kd": MethodEntry(CSKDSettings, "osakd.methods.cs_kd:build"),
    "bake": MethodEntry(BAKESettings, "osakd.methods.bake:build"),
    "kd": MethodEntry(KDSettings, "osakd.methods.kd:build_kd"),
    "born-again": MethodEntry(BornAgainSettings, "osakd.methods.kd:build_born_again"),
    "srdl": MethodEntry(SRDLSettings, "osakd.methods.kd:build_srdl"),
    "dml": MethodEntry(DMLSettings, "osakd.methods.dml:build"),
    "codistillation": MethodEntry(CodistillationSettings, "osakd.methods.codistillation:build"),
    "one": MethodEntry(ONESettings, "osakd.methods.one:build"),
    "ffl": MethodEntry(FFLSettings, "osakd.methods.ffl:build"),
}
SHORTHANDS: dict[str, dict[str, Any]] = {
    "kd-additive": {"name": "kd", "hard_weight": 1.0, "soft_weight": 1.0, "temperature": 3.0},
    "ffl-unshared": {"name": "ffl", "shared": False},
}
"""Methods with other settings than their defaults, by name."""
CONSTANT_WEIGHT: dict[str, Any] = {
    "reliability": False,
    "reliability_power": 1.0,
    "pseudo_count": 0.0,
    "label_smoothing": 0.0,
}
"""The paper's soft term: the same weight from the first step on, and the neighbours' shares as they are."""
PRESETS: dict[str, dict[str, Any]] = {
    "osakd-paper": {
        "name": "osakd",
        "k": 8,
        "space": "softmax",
        "divergence": "kl",
        "balance": "additive",
        "include_self": False,
        "pool": "batch",
        **CONSTANT_WEIGHT,
    },
}
"""Choices that were made in docs/reproduction.md, by name. ``osakd-paper`` is the reading of what the paper leaves
open that its tables are reproduced with; it stays as it is when the defaults of ``osakd`` change."""


def settings_of(config: RunConfig) -> Settings:
    """The settings of a run's method; those that were added since it was recorded have the values of before."""
    kind = METHODS[config.method].settings
    return kind(**dict(kind.in_older_runs) | config.settings)


def build_method(name: str, settings: Settings, context: "BuildContext") -> "Method":
    """Builds a method around a network.

    Args:
        name: a name of ``METHODS``.
        settings: complete settings, as ``resolve_method`` gives them.
        context: the network and what else a method is built from.

    Raises:
        InputError: a setting out of its range, or a network without the stages that branches need.
    """
    module, _, function = METHODS[name].builder.partition(":")
    return getattr(import_module(module), function)(settings, context)


def run_notes(config: RunConfig) -> list[str]:
    """What the reader of a run should know of its method: the ceiling of its soft labels, for example."""
    known = config.method in METHODS
    return settings_of(config).notes(config.batch_size, config.data["class_counts"]) if known else []


def as_given(name: str) -> Mapping[str, Any]:
    """The method and settings that a shorthand or preset stands for; nothing for any other name."""
    return SHORTHANDS.get(name) or PRESETS.get(name, {})
