"""Builds the executor of a run, or of many runs together: the preferred or the fastest of those allowed."""

import gc
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import torch

from osakd.engine.executors.base import Executor, Replicas
from osakd.engine.executors.measure import search_notes, step_seconds
from osakd.engine.executors.policy import executors_alone, executors_together, were_together
from osakd.engine.executors.registry import AUTO, CUDA, EXECUTORS, REFERENCE, build_executor
from osakd.errors import InputError, NotFusedError, UnsupportedError, one_line

CLEARLY_FASTER = 0.9
"""A time below this share of another one is clearly faster."""


class Choice(NamedTuple):
    """An executor.

    Attributes:
        executor: ready to run.
        name: its name and what was measured, for the record.
        notes: sentences for the person who started the run.
    """

    executor: Executor
    name: str
    notes: list[str]


def alone(replicas: Replicas, executor: str = AUTO, kernels: str = AUTO, recorded: str = "") -> Choice:
    """Builds the executor of a single run: the preferred one that can run its step.

    No timing decides: the same run takes the same executor on every day.

    Args:
        replicas: one replica.
        executor: the value of ``--executor``.
        kernels: the value of ``--kernels``.
        recorded: the executor that the run's checkpoint names; empty without one.

    Raises:
        InputError: the device does not have this executor, it only trains several runs together, or the kernel that was
            named cannot be used.
    """
    on_cuda = replicas.device.type == CUDA
    why = f"a single run on {'a CUDA device' if on_cuda else 'the CPU'}" if executor == AUTO else "as asked"
    *preferred, name = executors_alone(executor, replicas.device.type, kernels, recorded)
    if EXECUTORS[name].kernels != EXECUTORS[REFERENCE].kernels:
        _check_kernel(kernels, name, replicas)
    for better in preferred:
        try:
            step_seconds(build_executor(better, replicas.copied()))
        except Exception as error:  # a user's network may raise anything
            why = f"since {better} cannot run its step ({one_line(error)})"
        else:
            name = better
            break
    notes = search_notes(replicas, lambda: step_seconds(build_executor(name, replicas.copied())))
    return Choice(build_executor(name, replicas), name, [f"Executor: {name}, {why}.", *notes])


def together(replicas: Replicas, executor: str = AUTO, kernels: str = AUTO, recorded: str = "") -> Choice:
    """Builds the executor of many runs: the fastest of those allowed.

    Args:
        replicas: the runs.
        executor: the value of ``--executor``; unless it is ``auto`` the runs must be trained together.
        kernels: the value of ``--kernels``.
        recorded: the executor that the checkpoints name; empty without one.

    Raises:
        NotFusedError: no executor can run these networks, or a process for each run is clearly faster.
    """
    count = len(replicas.methods)
    seconds: dict[str, float] = {}
    reasons: list[str] = []
    for name in executors_together(executor, kernels, recorded):
        try:
            seconds[name] = step_seconds(build_executor(name, replicas.copied()))
        except Exception as error:  # a user's network may raise anything
            reasons.append(f"{_variant(name)}: {one_line(error)}")
    gc.collect()  # an executor and its steps refer to each other: the memory of a trial is free only now
    if not seconds:
        raise NotFusedError(f"These networks cannot be fused ({'; '.join(reasons)}): take --executor {REFERENCE}.")
    best = min(seconds, key=lambda name: seconds[name])
    if executor == AUTO and not were_together(recorded) and replicas.device.type != CUDA:
        process, shared = _seconds_in_processes(replicas, executors_alone(AUTO, "cpu", kernels)), seconds[best] / count
        if process < CLEARLY_FASTER * shared:
            raise NotFusedError(
                f"A process for each run is faster here ({1000 * process:.1f} ms per replica and step, together "
                f"{1000 * shared:.1f} ms)."
            )
    measured = ", ".join(f"{_variant(name)} {1000 * value / count:.2f} ms" for name, value in seconds.items())
    name = f"{best} ({count} replicas; per replica and step: {measured})"
    notes = search_notes(replicas, lambda: seconds[best])
    return Choice(build_executor(best, replicas), name, [f"Executor: {name}.", *notes])


def _check_kernel(kernels: str, name: str, replicas: Replicas) -> None:
    """Checks that the kernel that was named can run a step."""
    try:
        step_seconds(build_executor(name, replicas.copied()))
    except UnsupportedError as error:
        raise InputError(f"The {kernels} kernel cannot run this network ({error}): take --kernels {AUTO}.") from error


def _seconds_in_processes(replicas: Replicas, executors: Sequence[str]) -> float:
    """Seconds of a step in a process of one thread, divided by the number of threads, which is that of processes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = []
    try:
        for name in executors:
            with suppress(UnsupportedError):
                seconds.append(step_seconds(build_executor(name, replicas.part([0]).copied())))
    finally:
        torch.set_num_threads(threads)
    return min(seconds) / threads


def _variant(name: str) -> str:
    """How an executor computes: its name after the slash."""
    return name.rpartition("/")[2]
