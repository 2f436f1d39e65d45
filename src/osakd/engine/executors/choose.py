"""Builds the executor of a run, or of many runs together: the preferred one of those allowed that runs their step.

No timing decides: the same runs take the same executor on every day.
"""

import gc
from typing import NamedTuple

from osakd.engine.evaluate import probability_notes
from osakd.engine.executors.base import Executor, Replicas
from osakd.engine.executors.measure import one_step
from osakd.engine.executors.registry import (
    AUTO,
    CUDA,
    EXECUTORS,
    REFERENCE,
    build_executor,
    executors_alone,
    executors_together,
)
from osakd.errors import InputError, NotFusedError, UnsupportedError, one_line


class Choice(NamedTuple):
    """An executor that is ready to run, its name for the records, and sentences for whoever started the run."""

    executor: Executor
    name: str
    notes: list[str]


def alone(replicas: Replicas, executor: str = AUTO, kernels: str = AUTO, recorded: str = "") -> Choice:
    """Builds the executor of a single run: the preferred one that can run its step.

    The arguments are those of ``executors_alone``.

    Raises:
        InputError: the device does not have this executor, it only trains several runs together, or the kernel that was
            named cannot be used.
    """
    on_cuda = replicas.device.type == CUDA
    why = f"a single run on {'a CUDA device' if on_cuda else 'the CPU'}" if executor == AUTO else "as asked"
    *preferred, name = executors_alone(executor, replicas.device.type, kernels, recorded)
    if EXECUTORS[name].kernels != EXECUTORS[REFERENCE].kernels:
        try:
            _try(name, replicas)
        except UnsupportedError as error:
            raise InputError(
                f"The {kernels} kernel cannot run this network ({error}): take --kernels {AUTO}."
            ) from error
    for better in preferred:
        try:
            _try(better, replicas)
        except Exception as error:  # a user's network may raise anything
            why = f"since {better} cannot run its step ({one_line(error)})"
        else:
            name = better
            break
    notes = _notes(f"Executor: {name}, {why}.", replicas)
    return Choice(build_executor(name, replicas), name, notes)


def together(replicas: Replicas, executor: str = AUTO, kernels: str = AUTO, recorded: str = "") -> Choice:
    """Builds the executor of many runs: the preferred one of those allowed that can run their step.

    The arguments are those of ``executors_together``.

    Raises:
        NotFusedError: no executor can run these networks.
    """
    reasons: list[str] = []
    for name in reversed(executors_together(executor, replicas.device.type, kernels, recorded)):
        try:
            _try(name, replicas)
        except Exception as error:  # a user's network may raise anything
            reasons.append(f"{name.rpartition('/')[2]}: {one_line(error)}")
            continue
        gc.collect()  # an executor and its steps refer to each other: the memory of a trial is free only now
        said = f"{name} ({len(replicas.methods)} replicas)"
        return Choice(build_executor(name, replicas), said, _notes(f"Executor: {said}.", replicas))
    raise NotFusedError(f"These networks cannot be fused ({'; '.join(reasons)}): take --executor {REFERENCE}.")


def _try(name: str, replicas: Replicas) -> None:
    """A step of copies of the replicas; raises what the executor or the network does."""
    one_step(build_executor(name, replicas.copied()))


def _notes(choice: str, replicas: Replicas) -> list[str]:
    """The choice, and what a look at the replicas warns of."""
    return [choice, *probability_notes(replicas.methods[0].network, replicas.splits[0]["test"])]
