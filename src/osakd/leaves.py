"""What lies beside the trunk: parts that nothing in the trunk imports, and that one can leave out.

A leaf is a folder of this package. What it offers is named here as ``module:object`` and imported when it is used, so
deleting a folder and its row leaves the rest as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Leaf:
    """What a leaf offers to the trunk.

    Attributes:
        executors: rows for ``engine.executors.registry.EXECUTORS`` by name: the fields of an ``ExecutorEntry``.
        pools: by name of the option that takes its address, the class of a pool of workers, see ``runner.pools.Pool``.
    """

    executors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)


LEAVES: dict[str, Leaf] = {
    "cluster": Leaf(pools={"scheduler": "osakd.cluster:ClusterPool"}),
    "native": Leaf(
        executors={
            "serial/native": {
                "builder": "osakd.engine.executors.native.serial:NativeSerialExecutor",
                "device": "cpu",
                "kernels": "native",
            },
            "fused/native": {
                "builder": "osakd.engine.executors.native.folded:NativeFusedExecutor",
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
