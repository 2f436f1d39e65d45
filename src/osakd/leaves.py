"""What lies beside the trunk: parts that nothing in the trunk imports, and that one can leave out.

A leaf is a folder of this package. What it offers is named here as ``module:object`` and imported when it is used, so
deleting a folder and its row leaves the rest as it was.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple


class Leaf(NamedTuple):
    """What a leaf offers to the trunk.

    Attributes:
        executors: rows for ``engine.executors.registry.EXECUTORS`` by name: the fields of an ``ExecutorEntry``.
        commands: commands of ``osakd``, each with its function and what it does.
        names: public names of the package, each with the module that defines it, relative to the package.
        loaders: for each kind of file the function that loads a trained network from it.
        experiments: what is planned: a mapping of ``plan.Experiment`` by name.
    """

    executors: Mapping[str, Mapping[str, Any]] = {}
    commands: Mapping[str, tuple[str, str]] = {}
    names: Mapping[str, str] = {}
    loaders: Mapping[str, str] = {}
    experiments: Mapping[str, str] = {}


LEAVES: dict[str, Leaf] = {
    "deploy": Leaf(
        commands={
            "export": ("osakd.deploy.commands:export", "write a trained network for a device: ONNX or ExecuTorch"),
            "latency": (
                "osakd.deploy.commands:latency",
                "compare trained networks and exported files: accuracy, size, time, memory",
            ),
            "card": ("osakd.deploy.commands:card", "write the model card of a run"),
        },
        names={"export": "deploy.api", "latency": "deploy.api", "OSAKDModel": "deploy.hub"},
        loaders={"exported": "osakd.deploy.exported:load_exported"},
    ),
    "experiments": Leaf(
        commands={
            "reproduce": (
                "osakd.experiments.command:reproduce",
                "run what is missing of a table of the paper, and show ours beside theirs",
            ),
        },
        names={"reproduce": "experiments.api"},
        experiments={"catalogue": "osakd.experiments.catalogue:EXPERIMENTS"},
    ),
    "native": Leaf(
        executors={
            "serial/native": {
                "builder": "osakd.native.executors.serial:NativeSerialExecutor",
                "device": "cpu",
                "kernels": "native",
            },
            "fused/native": {
                "builder": "osakd.native.executors.fused:NativeFusedExecutor",
                "device": "cpu",
                "kernels": "native",
                "together": True,
            },
        },
    ),
}


def offered(kind: str) -> dict[str, Any]:
    """What all leaves offer of a kind, by name.

    Args:
        kind: an attribute of ``Leaf``.
    """
    return {name: place for leaf in LEAVES.values() for name, place in getattr(leaf, kind).items()}


def load(place: str) -> Any:
    """The object at ``module:object``, whose module is imported."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
