"""The executors by name, and which of them may run one run, or train many together, on which devices.

A new executor is its module and a row here; the contract tests then hold it to ``serial``. ``choose`` builds what
is allowed here. Torch is imported only to build one.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

from osakd.errors import InputError
from osakd.leaves import load, offered

if TYPE_CHECKING:
    from osakd.engine.executors.base import Executor, Replicas

AUTO = "auto"
"""Stands for the fastest executor that fits."""
REFERENCE = "serial"
"""The executor that runs any method on any device, and that all others must agree with."""
CUDA = "cuda"
_CUDA_PRECISIONS = ("tf32",)


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
    """The executor of that name, captured by default on CUDA where it can be.

    Raises:
        UnsupportedError: it cannot run these networks.
    """
    entry = EXECUTORS[name]
    if captured is None:
        captured = entry.captures and replicas.device.type == CUDA
    return load(entry.builder)(replicas, captured=captured)


def executors_together(executor: str, device: str, kernels: str = AUTO, recorded: str = "") -> list[str]:
    """The executors that may train many runs together; a ``recorded`` one alone continues its runs bit for bit.

    On a CPU, ``auto`` is our own kernel alone: with PyTorch's operators each run has a process of its own.
    """
    if were_together(recorded):
        return [_recorded(recorded)]
    allowed = [name for name in _named(executor, kernels) if EXECUTORS[name].together]
    own = [name for name in allowed if EXECUTORS[name].kernels != EXECUTORS[REFERENCE].kernels]
    return own if executor == AUTO and device != CUDA else allowed


def were_together(recorded: str) -> bool:
    """Whether a run with this recorded executor was trained together with others.

    Example:
        >>> were_together("fused/channels (16 replicas)"), were_together("serial")
        (True, False)
    """
    name = _recorded(recorded)
    return bool(name) and EXECUTORS[name].together


def executors_alone(executor: str, device: str, kernels: str = AUTO, recorded: str = "") -> list[str]:
    """The executors that may run a single run on a type of device, the preferred one first.

    On a CPU that is the ``recorded`` one of the run's checkpoint, which alone continues it bit for bit.

    Raises:
        InputError: there is none.
    """
    check_device(executor, "float32", device)
    fitting = _fitting(executor, device, kernels)
    same = _recorded(recorded)
    if device != CUDA and same in fitting:
        return list(dict.fromkeys([same, *fitting[:1]]))
    if fitting:
        return fitting[::-1]
    if _fitting(executor, device, AUTO):
        raise InputError(
            f"The {kernels} kernel does not run with the executor {executor} on {device}: take --kernels {AUTO}."
        )
    raise InputError(
        f"The executor {executor} trains several runs together: use osakd compare, or choose another executor."
    )


def for_single_run(executor: str) -> str:
    """The value of ``--executor`` for a run that is trained alone: ``auto`` for what only trains runs together."""
    return AUTO if all(EXECUTORS[name].together for name in _named(executor)) else executor


def needs_cuda(executor: str, precision: str) -> bool:
    """Whether only a CUDA device has this executor or this precision."""
    return precision in _CUDA_PRECISIONS or all(EXECUTORS[name].device == CUDA for name in _named(executor))


def check_device(executor: str, precision: str, device: str) -> None:
    """Checks that a type of device has an executor and a precision; else an InputError."""
    if device == CUDA:
        return
    if needs_cuda(executor, "float32"):
        raise InputError(f"The executor {executor} needs a CUDA device, this run is on {device}: take {REFERENCE}.")
    if precision in _CUDA_PRECISIONS:
        raise InputError(f"`precision` {precision} needs a CUDA device, this run is on {device}: take float32.")


def _fitting(executor: str, device: str, kernels: str) -> list[str]:
    """The executors of single runs that a type of device has."""
    entries = {name: EXECUTORS[name] for name in _named(executor, kernels)}
    return [name for name, entry in entries.items() if not entry.together and entry.device in ("", device)]


def _named(executor: str, kernels: str = AUTO) -> list[str]:
    """The entries that values of ``--executor`` and ``--kernels`` stand for."""
    return [
        name
        for name, entry in EXECUTORS.items()
        if executor in (AUTO, name.partition("/")[0]) and kernels in (AUTO, entry.kernels)
    ]


def _recorded(recorded: str) -> str:
    """The name of the executor in a record, where what was measured follows; empty for one of an earlier version."""
    name = recorded.partition(" ")[0]
    return name if name in EXECUTORS else ""
