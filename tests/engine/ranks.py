"""What each of several processes does in the tests of training on them."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

import osakd
from osakd import InputError, RunError
from osakd.data.streams import permutation
from osakd.engine import loop
from osakd.engine.executors.ranks import split_networks
from osakd.engine.executors.registry import SEVERAL
from osakd.methods.self_distillation import SelfDistillation
from tests.contracts.replicas import alone, run
from tests.engine.runs import StopAt

SECONDS = 60


def start(rank: int, world: int, store: str, seconds: int = SECONDS) -> None:
    patience = timedelta(seconds=seconds)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=patience)


def train(rank: int, world: int, variants: list[tuple[Any, str]], epochs: int) -> list[Any]:
    """The parts of the loss, the state and the scores of each variant in float64, after 10 steps in each epoch."""
    torch.set_default_dtype(torch.float64)
    found = []
    for variant, model in variants:
        executor = alone(SEVERAL if world > 1 else "serial", variant, rank, model)
        # Ranks begin with other weights of their own: those of rank 0 count.
        history = run(executor, [0], range(1, epochs + 1), crop=2)
        found.append((history, executor.states()[0], executor.scores("test")[0]))
    torch.set_default_dtype(torch.float32)
    return found


def trained(rank: int, world: int, store: str, variants: list[tuple[Any, str]], epochs: int) -> list[Any]:
    """The same on several ranks."""
    start(rank, world, store)
    found = train(rank, world, variants, epochs)
    dist.barrier()  # a rank that ends closes its connections
    return found
