"""Which executor runs a set of replicas, and why."""

import copy
import gc
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from osakd.engine.build import Built
from osakd.engine.environment import check_device
from osakd.engine.executors.base import Executor
from osakd.engine.executors.fused.executor import BuildLowering, FusedExecutor
from osakd.engine.executors.fused.folded import FoldedMethods
from osakd.engine.executors.fused.mapped import MappedMethods
from osakd.engine.executors.measure import search_notes, step_seconds
from osakd.engine.executors.serial import SerialExecutor
from osakd.errors import InputError, NotFusedError

CLEARLY = 0.9
"""Less than this share of the other's time is clearly faster."""
LOWERINGS: dict[str, BuildLowering] = {"channels": FoldedMethods, "vmap": MappedMethods}


class Choice(NamedTuple):
    """An executor.

    Attributes:
        executor: ready to run.
        name: for the record: what it is, and what was measured.
        notes: sentences for the person who started the run.
    """

    executor: Executor
    name: str
    notes: list[str]


def single(built: Built, settings: dict[str, Any], name: str, device: torch.device) -> Choice:
    """The executor of a single run.

    Args:
        built: the method and its data.
        settings: of the executor.
        name: ``serial``, ``cuda_graph``, or ``auto``.
        device: of the run.

    Raises:
        InputError: an executor that this device does not have, or that is for several runs.
    """
    cuda = device.type == "cuda"
    if name == "fused":
        raise InputError("The executor fused runs several runs in one program: take osakd compare, or another one.")
    check_device(name, "float32", device)
    chosen = {"auto": "cuda_graph" if cuda else "serial"}.get(name, name)
    why = {"serial": "a single run on the CPU", "cuda_graph": "a single run on a CUDA device"}[chosen]

    def build(method: Any) -> SerialExecutor:
        return SerialExecutor(method, built.splits, **settings, cuda_graph=chosen == "cuda_graph")

    if name == "auto" and chosen == "cuda_graph":
        try:
            step_seconds(build(copy.deepcopy(built.method)), settings["batch_size"])
        except Exception as error:  # a user's network may do anything
            chosen, why = "serial", f"since its step cannot be captured ({' '.join(str(error).split())})"
    notes = [f"Executor: {chosen}, {why if name == 'auto' else 'as asked'}."]
    batch_size = settings["batch_size"]
    notes += search_notes(
        [built.method], batch_size, lambda: step_seconds(build(copy.deepcopy(built.method)), batch_size)
    )
    return Choice(build(built.method), chosen, notes)


def fused(
    replicas: Sequence[Built],
    keys: Sequence[str],
    groups: int,
    settings: dict[str, Any],
    lowerings: Sequence[str] = tuple(LOWERINGS),
    *,
    against_processes: bool = False,
) -> Choice:
    """The fused executor in the faster of its lowerings; inside a CUDA graph where CUDA is.

    Args:
        replicas: the methods and their data, those of one seed side by side.
        keys: what each method is; those with equal keys share one mapped loss.
        groups: how many seeds.
        settings: of the executor.
        lowerings: which to try.
        against_processes: refuse where a process of one thread for each run, one per core, is clearly faster.

    Raises:
        NotFusedError: neither lowering can run these networks, or it is not worth it.
    """
    splits = [replicas[number].splits for number in range(0, len(replicas), len(replicas) // groups)]
    cuda_graph = splits[0]["train"].target.is_cuda
    seconds: dict[str, float] = {}
    reasons: list[str] = []

    def build(name: str, methods: Sequence[Any]) -> FusedExecutor:
        return FusedExecutor(methods, keys, splits, lowering=LOWERINGS[name], **settings, cuda_graph=cuda_graph)

    for name in lowerings:
        try:
            methods = copy.deepcopy([replica.method for replica in replicas])
            seconds[name] = step_seconds(build(name, methods), settings["batch_size"])
        except Exception as error:  # a user's network may do anything
            reasons.append(f"{name}: {' '.join(str(error).split())}")
    gc.collect()  # an executor and its steps hold each other: a trial's memory is free only now
    if not seconds:
        raise NotFusedError(f"These networks cannot be fused ({'; '.join(reasons)}): take --executor serial.")
    best = min(seconds, key=lambda name: seconds[name])
    if against_processes and not cuda_graph:
        alone, together = _seconds_alone(replicas[0], settings), seconds[best] / len(replicas)
        if alone < CLEARLY * together:
            raise NotFusedError(
                f"A process for each run is faster here ({1000 * alone:.1f} ms per replica and step, in one program "
                f"{1000 * together:.1f} ms)."
            )
    measured = ", ".join(f"{name} {1000 * value / len(replicas):.2f} ms" for name, value in seconds.items())
    name = f"fused/{best} ({len(replicas)} replicas; per replica and step: {measured})"
    methods = [replica.method for replica in replicas]
    notes = [f"Executor: {name}.", *search_notes(methods, settings["batch_size"], lambda: seconds[best])]
    return Choice(build(best, methods), name, notes)


def _seconds_alone(replica: Built, settings: dict[str, Any]) -> float:
    """Of a step in a process of one thread, shared among as many processes as there are threads now."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trial = SerialExecutor(copy.deepcopy(replica.method), replica.splits, **settings)
        return step_seconds(trial, settings["batch_size"]) / threads
    finally:
        torch.set_num_threads(threads)
