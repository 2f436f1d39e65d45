"""Builds the executor of a run, or of many runs together: the preferred or the fastest of those allowed."""

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import torch

from osakd.engine.evaluate import probability_notes
from osakd.engine.executors.base import Executor, Replicas
from osakd.engine.executors.measure import search_notes, step_seconds
from osakd.engine.executors.registry import (
    AUTO,
    CUDA,
    EXECUTORS,
    REFERENCE,
    build_executor,
    executors_alone,
    executors_together,
    were_together,
)
from osakd.errors import InputError, NotFusedError, UnsupportedError, one_line

CLEARLY_FASTER = 0.9
"""A time below this share of another one is clearly faster."""


class Choice(NamedTuple):
    """An executor that is ready to run, its name with what was measured, and sentences for whoever started the run."""

    executor: Executor
    name: str
    notes: list[str]


def alone(replicas: Replicas, executor: str = AUTO, kernels: str = AUTO, recorded: str = "") -> Choice:
    """Builds the executor of a single run: the preferred one that can run its step.

    No timing decides: the same run takes the same executor on every day.

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
            _trial_seconds(name, replicas)
        except UnsupportedError as error:
            raise InputError(
                f"The {kernels} kernel cannot run this network ({error}): take --kernels {AUTO}."
            ) from error
    for better in preferred:
        try:
            _trial_seconds(better, replicas)
        except Exception as error:  # a user's network may raise anything
            why = f"since {better} cannot run its step ({one_line(error)})"
        else:
            name = better
            break
    notes = _notes(f"Executor: {name}, {why}.", replicas, lambda: _trial_seconds(name, replicas))
    return Choice(build_executor(name, replicas), name, notes)


def together(replicas: Replicas, executor: str = AUTO, kernels: str = AUTO, recorded: str = "") -> Choice:
    """Builds the executor of many runs: the fastest of those allowed.

    The arguments are those of ``executors_together``; only with the executor ``auto`` may the runs be trained alone.

    Raises:
        NotFusedError: no executor can run these networks, or a process for each run is clearly faster.
    """
    count = len(replicas.methods)
    seconds: dict[str, float] = {}
    reasons: list[str] = []
    for name in executors_together(executor, kernels, recorded):
        try:
            seconds[name] = _trial_seconds(name, replicas)
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
    return Choice(build_executor(best, replicas), name, _notes(f"Executor: {name}.", replicas, lambda: seconds[best]))


def _trial_seconds(name: str, replicas: Replicas) -> float:
    """Seconds of a step of copies of the replicas."""
    return step_seconds(build_executor(name, replicas.copied()))


def _notes(choice: str, replicas: Replicas, seconds_per_step: Callable[[], float]) -> list[str]:
    """The choice, and what a look at the replicas warns of."""
    return [
        choice,
        *search_notes(replicas, seconds_per_step),
        *probability_notes(replicas.methods[0].network, replicas.splits[0]["test"]),
    ]


def _seconds_in_processes(replicas: Replicas, executors: Sequence[str]) -> float:
    """Seconds of a step in a process of one thread, divided by the number of threads, which is that of processes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = []
    try:
        for name in executors:
            with suppress(UnsupportedError):
                seconds.append(_trial_seconds(name, replicas.part([0])))
    finally:
        torch.set_num_threads(threads)
    return min(seconds) / threads


def _variant(name: str) -> str:
    """How an executor computes: its name after the slash."""
    return name.rpartition("/")[2]
