"""Who runs what: which executors may run one run, which may run many in one program, and what they need.

This is the only place that decides it; ``choose`` builds and times what is allowed here. It imports no torch.
"""

from typing import NamedTuple

from osakd.engine.executors.registry import (
    AUTO,
    EXECUTORS,
    REFERENCE,
    ExecutorEntry,
    executors_named,
    recorded_executor,
)
from osakd.errors import InputError

CUDA = "cuda"
_CUDA_PRECISIONS = ("tf32",)


class Sharing(NamedTuple):
    """How runs share programs.

    Attributes:
        executors: names of the executors that may run them, of which the fastest is taken; none: nothing is shared.
        optional: where sharing is impossible, or a process for each run is clearly faster, the runs are trained one by
            one; else sharing was asked for, and must be possible.
    """

    executors: tuple[str, ...]
    optional: bool

    def resumed(self, recorded: str) -> "Sharing":
        """How runs continue whose checkpoint names an executor: only the same one continues them bit for bit."""
        entry = recorded_executor(recorded)
        if entry is None or not entry.together:
            return self
        return Sharing((recorded.partition(" ")[0],), optional=False)


def sharing(asked: str, *, on_cluster: bool, kernels: str = AUTO) -> Sharing:
    """How the runs of a comparison share programs.

    Args:
        asked: the value of ``--executor``.
        kernels: the value of ``--kernels``.
        on_cluster: the workers of a cluster run them, which have one thread each.
    """
    names = tuple(name for name in executors_named(asked, kernels) if EXECUTORS[name].together)
    if asked == AUTO:
        return Sharing(() if on_cluster else names, optional=True)
    return Sharing(names, optional=False)


def asked_alone(asked: str) -> str:
    """The executor to ask for where a run has its program to itself: one that shares programs cannot run it."""
    return asked if any(not EXECUTORS[name].together for name in executors_named(asked)) else AUTO


def executors_alone(asked: str, device: str, kernels: str = AUTO, recorded: str = "") -> list[str]:
    """The executors that may run a single run on a type of device, the preferred one first.

    Args:
        asked: the value of ``--executor``.
        device: the type of device.
        kernels: the value of ``--kernels``.
        recorded: the executor that the run's checkpoint names, which alone continues it bit for bit on a CPU:
            there it is preferred.

    Raises:
        InputError: there is none.
    """
    check_device(asked, "float32", device)
    entries = {name: EXECUTORS[name] for name in executors_named(asked, kernels)}
    fitting = [name for name, entry in entries.items() if not entry.together and _runs_on(device, entry)]
    same = recorded.partition(" ")[0]
    if device != CUDA and same in fitting:
        return list(dict.fromkeys([same, *fitting[:1]]))
    if not fitting and kernels == "native":
        raise InputError(
            f"The native kernel does not run with the executor {asked} on {device}: take --kernels {AUTO}."
        )
    if not fitting:
        raise InputError(
            f"The executor {asked} trains several runs in one program: use osakd compare, or choose another executor."
        )
    return fitting[::-1]


def _runs_on(device: str, entry: ExecutorEntry) -> bool:
    return not entry.native if device == CUDA else not entry.needs_cuda


def needs_cuda(asked: str, precision: str) -> bool:
    """Whether only a CUDA device has this executor or this precision."""
    return precision in _CUDA_PRECISIONS or all(EXECUTORS[name].needs_cuda for name in executors_named(asked))


def check_device(asked: str, precision: str, device: str) -> None:
    """Checks that a type of device has an executor and a precision.

    Raises:
        InputError: it does not.
    """
    if device == CUDA:
        return
    if needs_cuda(asked, "float32"):
        raise InputError(f"The executor {asked} needs a CUDA device, this run is on {device}: take {REFERENCE}.")
    if precision in _CUDA_PRECISIONS:
        raise InputError(f"`precision` {precision} needs a CUDA device, this run is on {device}: take float32.")
