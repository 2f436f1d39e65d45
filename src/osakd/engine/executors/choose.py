"""Which executor runs a set of replicas, and why."""

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from osakd.engine.build import Built
from osakd.engine.executors.base import Executor
from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.executor import FusedExecutor, Lowering
from osakd.engine.executors.fused.mapped import MappedNetwork
from osakd.engine.executors.serial import SerialExecutor
from osakd.errors import NotFusedError

LOWERINGS: dict[str, Lowering] = {"channels": FoldedNetwork, "vmap": MappedNetwork}
TIMED_STEPS = 3


def serial(built: Built, settings: dict[str, Any]) -> tuple[Executor, str]:
    """The executor of a single run."""
    return SerialExecutor(built.method, built.splits, **settings), "serial"


def fused(
    replicas: Sequence[Built],
    keys: Sequence[str],
    groups: int,
    settings: dict[str, Any],
    lowerings: Sequence[str] = tuple(LOWERINGS),
) -> tuple[Executor, str]:
    """The fused executor in the faster of its lowerings, and what was measured.

    Args:
        replicas: the methods and their data, those of one seed side by side.
        keys: what each method is; those with equal keys share one mapped loss.
        groups: how many seeds.
        settings: of the executor.
        lowerings: which to try.

    Raises:
        NotFusedError: neither lowering can run these networks.
    """
    splits = [replicas[number].splits for number in range(0, len(replicas), len(replicas) // groups)]
    seconds: dict[str, float] = {}
    reasons: list[str] = []

    def build(name: str, methods: Sequence[Any]) -> FusedExecutor:
        return FusedExecutor(methods, keys, splits, lowering=LOWERINGS[name], **settings)

    for name in lowerings:
        try:
            seconds[name] = _time(lambda name=name: build(name, copy.deepcopy([r.method for r in replicas])))
        except Exception as error:  # a user's network may do anything
            reasons.append(f"{name}: {' '.join(str(error).split())}")
    if not seconds:
        raise NotFusedError(f"These networks cannot be fused ({'; '.join(reasons)}): take --executor serial.")
    best = min(seconds, key=lambda name: seconds[name])
    measured = ", ".join(f"{name} {1000 * value / len(replicas):.2f} ms" for name, value in seconds.items())
    return build(
        best, [r.method for r in replicas]
    ), f"fused/{best} ({len(replicas)} replicas; per replica and step: {measured})"


def _time(build: Callable[[], FusedExecutor]) -> float:
    """Median seconds of a training step."""
    executor = build()
    rows = torch.arange(min(executor.batch_size, len(executor.splits[0]["train"].classes)))
    orders = [rows.numpy()] * executor.layout.replicas
    found = []
    for _ in range(TIMED_STEPS + 1):
        start = time.perf_counter()
        executor.run_epoch(orders, rate=0.0, first_step=0, on_step=lambda _: None)
        found.append(time.perf_counter() - start)
    return sorted(found[1:])[TIMED_STEPS // 2]
