"""The methods by name: one entry each. Torch is imported only to build one.

A new method is its module, its settings class, its card in docs/methods, and a row here.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from osakd.errors import InputError, unknown_name
from osakd.methods.settings.base import Settings
from osakd.methods.settings.neighbours import OSAKDSettings, ShuffledSettings, UniformSettings
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
        method: ``module:Class`` of its ``Method``.
    """

    settings: type[Settings]
    method: str


_PACKAGE = "osakd.methods"
METHODS: dict[str, MethodEntry] = {
    "plain": MethodEntry(PlainSettings, f"{_PACKAGE}.plain:Plain"),
    "osakd": MethodEntry(OSAKDSettings, f"{_PACKAGE}.osakd:OSAKD"),
    "label-smoothing": MethodEntry(LabelSmoothingSettings, f"{_PACKAGE}.plain:LabelSmoothing"),
    "uniform-smoothing": MethodEntry(UniformSettings, f"{_PACKAGE}.osakd:UniformSmoothing"),
    "shuffled-neighbours": MethodEntry(ShuffledSettings, f"{_PACKAGE}.osakd:ShuffledNeighbours"),
    "tf-kd": MethodEntry(TfKDSettings, f"{_PACKAGE}.tf_kd:VirtualTeacher"),
    "zipf": MethodEntry(ZipfSettings, f"{_PACKAGE}.zipf:ZipfSmoothing"),
    "online-label-smoothing": MethodEntry(
        OnlineLabelSmoothingSettings, f"{_PACKAGE}.online_label_smoothing:OnlineLabelSmoothing"
    ),
    "ps-kd": MethodEntry(PSKDSettings, f"{_PACKAGE}.ps_kd:ProgressiveTargets"),
    "bayesian-self-distillation": MethodEntry(
        BayesianSelfDistillationSettings, f"{_PACKAGE}.bayesian_self_distillation:BayesianSelfDistillation"
    ),
    "dlb": MethodEntry(DLBSettings, f"{_PACKAGE}.dlb:LastVisit"),
    "cs-kd": MethodEntry(CSKDSettings, f"{_PACKAGE}.cs_kd:ClassWise"),
    "bake": MethodEntry(BAKESettings, f"{_PACKAGE}.bake:BatchEnsembling"),
    "kd": MethodEntry(KDSettings, f"{_PACKAGE}.kd:Distillation"),
    "born-again": MethodEntry(BornAgainSettings, f"{_PACKAGE}.kd:BornAgain"),
    "srdl": MethodEntry(SRDLSettings, f"{_PACKAGE}.kd:Distillation"),
    "dml": MethodEntry(DMLSettings, f"{_PACKAGE}.dml:MutualLearning"),
    "codistillation": MethodEntry(CodistillationSettings, f"{_PACKAGE}.codistillation:Codistillation"),
    "one": MethodEntry(ONESettings, f"{_PACKAGE}.one:NativeEnsemble"),
    "ffl": MethodEntry(FFLSettings, f"{_PACKAGE}.ffl:FeatureFusion"),
}
RETIRED = ("averaged-neighbours", "weighted-neighbours", "osakd-bayes")
"""Methods of earlier versions; reports still show their runs by name."""
CONSTANT_WEIGHT: dict[str, Any] = {
    "reliability": False,
    "reliability_power": 1.0,
    "reliability_scoring": "fixed",
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
        "queue_size": 2048,
        **CONSTANT_WEIGHT,
    },
    "osakd-constant": {"name": "osakd", "include_self": True, **CONSTANT_WEIGHT},
    "osakd-queue": {"name": "osakd", "pool": "queue"},
    "osakd-shuffled": {"name": "shuffled-neighbours"},
    "osakd-uniform": {"name": "uniform-smoothing"},
    "kd-additive": {"name": "kd", "hard_weight": 1.0, "soft_weight": 1.0, "temperature": 3.0},
    "ffl-unshared": {"name": "ffl", "shared": False},
}
"""Methods with other settings than their defaults, by name. ``osakd-paper`` is the reading of what the paper leaves
open that its tables are reproduced with (docs/reproduction.md); it stays when the defaults of ``osakd`` change."""


def entry_of(name: str, remedy: str = "") -> MethodEntry:
    """The entry of a method; an InputError, with the remedy, for a retired method or an unknown name."""
    if name in RETIRED:
        raise InputError(f"The method {name!r} is retired: take revision fe0a4ef of osakd, the last one that has it.")
    if name not in METHODS:
        raise unknown_name("method", name, METHODS, remedy)
    return METHODS[name]


def settings_of(config: RunConfig) -> Settings:
    """The settings of a run's method; those that were added since it was recorded have the values of before.

    Raises:
        InputError: a run of a retired method, or with a setting that this version does not have.
    """
    return _parsed(config.method, config.settings)


def _parsed(method: str, settings: Mapping[str, Any]) -> Settings:
    kind = entry_of(method).settings
    missing = settings.keys() - {field.name for field in fields(kind)}
    if missing:
        raise InputError(
            f"The run has a setting {min(missing)!r} of method {method!r}, which this version of osakd does not "
            "have: read it with the version that trained it."
        )
    return kind.parse({**kind.in_older_runs, **settings})


def build_method(name: str, settings: Settings, context: "BuildContext") -> "Method":
    """Builds a method around a network.

    Raises:
        InputError: a setting out of its range, or a network without the stages that branches need.
    """
    module, _, kind = entry_of(name).method.partition(":")
    return getattr(import_module(module), kind)(settings, context)


def run_notes(config: RunConfig) -> list[str]:
    """What the reader of a run should know of its method: the ceiling of its soft labels, for example.

    Raises:
        InputError: see ``settings_of``; or its settings cannot be those of its batches and classes.
    """
    if config.method not in METHODS:  # a retired method, or one of another version
        return []
    of_runs = [config.method, config.settings, config.batch_size, config.data["class_counts"]]
    return list(_notes(json.dumps(of_runs)))


@lru_cache
def _notes(of_runs: str) -> list[str]:
    """The notes are the same for all seeds of a method."""
    method, settings, *batches = json.loads(of_runs)
    return _parsed(method, settings).notes(*batches)
