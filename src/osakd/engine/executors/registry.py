"""The executors by name: one entry each. Torch is imported only to build one.

A new executor is its module and a row here; the contract tests then hold it to ``serial``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from osakd.engine.executors.base import Executor, Replicas, TrainingSpec

AUTO = "auto"
"""Stands for the fastest executor that fits."""
REFERENCE = "serial"
"""The executor that runs any method on any device, and that all others must agree with."""


class ExecutorEntry(NamedTuple):
    """An executor: what it needs, and what it can do.

    Attributes:
        builder: ``module:function`` that builds it from ``Replicas`` and a ``TrainingSpec``.
        needs_cuda: it runs on CUDA devices only.
        together: it trains many runs at once, of methods with a single network; else it trains one run of any method.
        captures: it captures its step in a CUDA graph, where the device is a CUDA device.
        native: the native kernel computes its networks, on a CPU in float32.
    """

    builder: str
    needs_cuda: bool = False
    together: bool = False
    captures: bool = False
    native: bool = False


EXECUTORS: dict[str, ExecutorEntry] = {
    "serial": ExecutorEntry("osakd.engine.executors.serial:build"),
    "serial/native": ExecutorEntry("osakd.engine.executors.native.serial:build", native=True),
    "cuda_graph": ExecutorEntry(
        "osakd.engine.executors.serial:build",
        needs_cuda=True,
        captures=True,
    ),
    "fused/channels": ExecutorEntry(
        "osakd.engine.executors.fused.executor:build",
        together=True,
        captures=True,
    ),
    "fused/native": ExecutorEntry(
        "osakd.engine.executors.native.folded:build",
        together=True,
        native=True,
    ),
}
"""The executor that ``--executor`` names, after a slash its lowering. Of those that fit, later ones are preferred."""

KernelsName = Literal["auto", "torch", "native"]
"""What ``--kernels`` may be: the native kernel where it fits, never, or always."""

if TYPE_CHECKING:
    ExecutorName = str
else:
    ExecutorName = Literal[(AUTO, *dict.fromkeys(name.partition("/")[0] for name in EXECUTORS))]
    """What ``--executor`` may be."""


def executors_named(asked: str, kernels: str = AUTO) -> list[str]:
    """The entries that values of ``--executor`` and ``--kernels`` stand for."""
    entries = {name: one for name, one in EXECUTORS.items() if kernels == AUTO or one.native == (kernels == "native")}
    return [name for name in entries if asked in (AUTO, name.partition("/")[0])]


def recorded_executor(recorded: str) -> ExecutorEntry | None:
    """The entry that a record or a checkpoint names, before what was measured; None for one of an earlier version."""
    return EXECUTORS.get(recorded.partition(" ")[0])


def build_executor(name: str, replicas: "Replicas", spec: "TrainingSpec") -> "Executor":
    """Builds an executor.

    Args:
        name: a name of ``EXECUTORS``.
        replicas: the methods to train and their data; one replica unless the executor shares its program.
        spec: how to train them.
    """
    module, _, function = EXECUTORS[name].builder.partition(":")
    return getattr(import_module(module), function)(replicas, spec)
