"""The executors by name: one entry each. Torch is imported only to build one.

A new executor is its module and a row here; the contract tests then hold it to ``serial``.
"""

import re
from importlib import import_module
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from osakd.engine.executors.base import Executor, Replicas, TrainingSpec

AUTO = "auto"
"""Stands for the fastest executor that fits."""
REFERENCE = "serial"
"""The executor that runs any method on any device, and that all others must agree with."""
SEVERAL = "serial/ranks"
"""The same on several processes."""


class ExecutorEntry(NamedTuple):
    """An executor: what it needs, and what it can do.

    Attributes:
        builder: ``module:function`` that builds it from ``Replicas`` and a ``TrainingSpec``.
        needs_cuda: it runs on CUDA devices only.
        shares_program: it trains many runs in one program; else it trains one run.
        single_network: it can only run methods that train a single network.
        captures: it captures its step in a CUDA graph, where the device is a CUDA device.
        automatic: ``auto`` may choose it.
        native: the native kernel computes its networks, on a CPU in float32.
        several: it trains one run on several processes, which ``torch.distributed`` joins; else in one.
    """

    builder: str
    needs_cuda: bool = False
    shares_program: bool = False
    single_network: bool = False
    captures: bool = False
    automatic: bool = True
    native: bool = False
    several: bool = False


EXECUTORS: dict[str, ExecutorEntry] = {
    "serial": ExecutorEntry("osakd.engine.executors.serial:build"),
    "serial/native": ExecutorEntry("osakd.engine.executors.native.serial:build", native=True),
    "serial/ranks": ExecutorEntry("osakd.engine.executors.ranks:build", several=True),
    "serial/ranks-native": ExecutorEntry("osakd.engine.executors.ranks:build_native", native=True, several=True),
    "cuda_graph": ExecutorEntry(
        "osakd.engine.executors.serial:build",
        needs_cuda=True,
        captures=True,
    ),
    "fused/channels": ExecutorEntry(
        "osakd.engine.executors.fused.folded:build",
        shares_program=True,
        single_network=True,
        captures=True,
    ),
    "fused/native": ExecutorEntry(
        "osakd.engine.executors.native.folded:build",
        shares_program=True,
        single_network=True,
        native=True,
    ),
    # Not automatic: no record shows it faster than one process per run.
    "fused/vmap": ExecutorEntry(
        "osakd.engine.executors.fused.mapped:build",
        shares_program=True,
        captures=True,
        automatic=False,
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
    if asked == AUTO:
        return [name for name, entry in entries.items() if entry.automatic]
    return [name for name in entries if name.partition("/")[0] == asked]


def recorded_executor(recorded: str) -> ExecutorEntry | None:
    """The entry that a record or a checkpoint names, before what was measured; None for one that is not known."""
    return EXECUTORS.get(recorded.partition(" ")[0])


def processes_of(recorded: str) -> int:
    """The number of processes that trained a run with this recorded executor.

    Example:
        >>> processes_of("serial/ranks (4 processes)"), processes_of("serial")
        (4, 1)
    """
    found = re.search(r"\((\d+) processes\)", recorded)
    return int(found[1]) if found else 1


def shared_program(recorded: str) -> bool:
    """Whether a run with this recorded executor was trained in one program with others.

    Example:
        >>> shared_program("fused/channels (16 replicas; per replica and step: ...)"), shared_program("serial")
        (True, False)
    """
    entry = recorded_executor(recorded)
    return entry is not None and entry.shares_program


def build_executor(name: str, replicas: "Replicas", spec: "TrainingSpec") -> "Executor":
    """Builds an executor.

    Args:
        name: a name of ``EXECUTORS``.
        replicas: the methods to train and their data; one replica unless the executor shares its program.
        spec: how to train them.
    """
    module, _, function = EXECUTORS[name].builder.partition(":")
    return getattr(import_module(module), function)(replicas, spec)
