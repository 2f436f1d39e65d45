"""Builds the executor of a run, or of many runs in one program: the preferred or the fastest of those allowed."""

import gc
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import torch

from osakd.engine.executors.base import Executor, Replicas, TrainingSpec, UnsupportedError
from osakd.engine.executors.measure import search_notes, step_seconds
from osakd.engine.executors.policy import CUDA, Sharing, executors_alone
from osakd.engine.executors.registry import AUTO, EXECUTORS, REFERENCE, build_executor
from osakd.errors import InputError, NotFusedError, one_line

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


def alone(replicas: Replicas, spec: TrainingSpec, asked: str, *, kernels: str = AUTO, recorded: str = "") -> Choice:
    """Builds the executor of a single run: the preferred one that can run its step.

    No timing decides: the same run takes the same executor on every day.

    Args:
        replicas: one replica.
        spec: how to train it.
        asked: the value of ``--executor``.
        kernels: the value of ``--kernels``.
        recorded: the executor that the run's checkpoint names; empty without one.

    Raises:
        InputError: the device does not have this executor, it only runs several runs in one program, or the kernel that
            was asked for cannot be used.
    """
    on_cuda = replicas.device.type == CUDA
    why = f"a single run on {'a CUDA device' if on_cuda else 'the CPU'}" if asked == AUTO else "as asked"
    *preferred, name = executors_alone(asked, replicas.device.type, kernels, recorded)
    if EXECUTORS[name].native:
        _check_native(name, replicas, spec)
    for better in preferred:
        try:
            step_seconds(_build(better, replicas.copied(), spec))
        except Exception as error:  # a user's network may raise anything
            why = f"since {better} cannot run its step ({one_line(error)})"
        else:
            name = better
            break
    notes = search_notes(replicas.methods, spec.batch_size, lambda: step_seconds(_build(name, replicas.copied(), spec)))
    return Choice(_build(name, replicas, spec), name, [f"Executor: {name}, {why}.", *notes])


def together(replicas: Replicas, spec: TrainingSpec, sharing: Sharing) -> Choice:
    """Builds the executor of many runs in one program: the fastest of those allowed.

    Args:
        replicas: the runs.
        spec: how to train them.
        sharing: which executors are allowed, and whether a process for each run may be better.

    Raises:
        NotFusedError: no executor can run these networks, or a process for each run is clearly faster.
    """
    count = len(replicas.methods)
    seconds: dict[str, float] = {}
    reasons: list[str] = []
    for name in sharing.executors:
        try:
            seconds[name] = step_seconds(_build(name, replicas.copied(), spec))
        except Exception as error:  # a user's network may raise anything
            reasons.append(f"{_lowering(name)}: {one_line(error)}")
    gc.collect()  # an executor and its steps refer to each other: the memory of a trial is free only now
    if not seconds:
        raise NotFusedError(f"These networks cannot be fused ({'; '.join(reasons)}): take --executor {REFERENCE}.")
    best = min(seconds, key=lambda name: seconds[name])
    if sharing.optional and replicas.device.type != CUDA:
        process, shared = _seconds_in_processes(replicas, spec, sharing), seconds[best] / count
        if process < CLEARLY_FASTER * shared:
            raise NotFusedError(
                f"A process for each run is faster here ({1000 * process:.1f} ms per replica and step, in one program "
                f"{1000 * shared:.1f} ms)."
            )
    measured = ", ".join(f"{_lowering(name)} {1000 * value / count:.2f} ms" for name, value in seconds.items())
    name = f"{best} ({count} replicas; per replica and step: {measured})"
    notes = search_notes(replicas.methods, spec.batch_size, lambda: seconds[best])
    return Choice(_build(best, replicas, spec), name, [f"Executor: {name}.", *notes])


def _check_native(name: str, replicas: Replicas, spec: TrainingSpec) -> None:
    """Checks that the kernel that was asked for can run a step."""
    try:
        step_seconds(_build(name, replicas.copied(), spec))
    except UnsupportedError as error:
        raise InputError(f"The native kernel cannot run this network ({error}): take --kernels {AUTO}.") from error


def _build(name: str, replicas: Replicas, spec: TrainingSpec) -> Executor:
    captured = EXECUTORS[name].captures and replicas.device.type == CUDA
    return build_executor(name, replicas, replace(spec, cuda_graph=captured))


def _seconds_in_processes(replicas: Replicas, spec: TrainingSpec, sharing: Sharing) -> float:
    """Seconds of a step in a process of one thread, divided by the number of threads, which is that of processes."""
    native = any(EXECUTORS[name].native for name in sharing.executors)
    names = [name for name, one in EXECUTORS.items() if name == REFERENCE or (one.native and native)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = []
    try:
        for name in names:
            if not EXECUTORS[name].together:
                with suppress(UnsupportedError):
                    seconds.append(step_seconds(_build(name, replicas.first().copied(), spec)))
    finally:
        torch.set_num_threads(threads)
    return min(seconds) / threads


def _lowering(name: str) -> str:
    return name.rpartition("/")[2]
