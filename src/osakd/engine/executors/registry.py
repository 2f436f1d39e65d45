"""The executors by name: one entry each. Torch is imported only to build one.

A new executor is its module and a row here; the contract tests then hold it to ``serial``.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

from osakd.leaves import load, offered

if TYPE_CHECKING:
    from osakd.engine.executors.base import Executor, Replicas

AUTO = "auto"
"""Stands for the fastest executor that fits."""
REFERENCE = "serial"
"""The executor that runs any method on any device, and that all others must agree with."""
CUDA = "cuda"


class ExecutorEntry(NamedTuple):
    """An executor: what it needs, and what it can do.

    Attributes:
        builder: ``module:class``, called with ``Replicas`` and ``captured``.
        device: the only type of device that it is for; empty for any.
        together: it trains many runs at once, of methods with a single network; else it trains one run of any method.
        captures: it can capture its step in a CUDA graph.
        kernels: what computes small networks on a CPU, a value of ``--kernels``.
    """

    builder: str
    device: str = ""
    together: bool = False
    captures: bool = False
    kernels: str = "torch"


EXECUTORS: dict[str, ExecutorEntry] = {
    "serial": ExecutorEntry("osakd.engine.executors.serial:SerialExecutor"),
    "cuda_graph": ExecutorEntry("osakd.engine.executors.serial:SerialExecutor", device=CUDA, captures=True),
    "fused/channels": ExecutorEntry(
        "osakd.engine.executors.fused.executor:FusedExecutor", together=True, captures=True
    ),
    **{name: ExecutorEntry(**row) for name, row in offered("executors").items()},
}
"""By name: what ``--executor`` names, and after a slash how. Of those that fit, later ones are preferred."""

if TYPE_CHECKING:
    ExecutorName = KernelsName = str
else:
    ExecutorName = Literal[(AUTO, *dict.fromkeys(name.partition("/")[0] for name in EXECUTORS))]
    """What ``--executor`` may be."""
    KernelsName = Literal[(AUTO, *dict.fromkeys(entry.kernels for entry in EXECUTORS.values()))]
    """What ``--kernels`` may be."""


def build_executor(name: str, replicas: "Replicas", *, captured: bool | None = None) -> "Executor":
    """The executor of that name.

    Args:
        name: a name of ``EXECUTORS``.
        replicas: the methods to train and their data; one replica, unless it trains runs together.
        captured: the whole step is captured once and replayed; by default on a CUDA device, where it can be.

    Raises:
        UnsupportedError: it cannot run these networks.
    """
    entry = EXECUTORS[name]
    if captured is None:
        captured = entry.captures and replicas.device.type == CUDA
    return load(entry.builder)(replicas, captured=captured)
