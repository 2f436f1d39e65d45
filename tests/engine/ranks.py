"""What each of several processes does in the tests of training on them, and the same in one process."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from osakd.methods.self_distillation import SelfDistillation
from torch import Tensor, nn

import osakd
from osakd import InputError, RunError
from osakd.data.augment import draw
from osakd.data.streams import permutation
from osakd.engine.executors.base import Executor
from osakd.engine.executors.ranks import split_networks
from osakd.engine.executors.registry import SEVERAL, build_executor
from osakd.engine.processes import of_all
from osakd.methods.registry import METHODS
from tests.contracts.replicas import alone, method_of, replicas, spec
from tests.engine.runs import MEMORY, StopAt

SECONDS, PATIENCE = 60, 2
LONG: list[tuple[Any, str]] = [("plain", "lenet-digits"), (MEMORY, "residual"), ("bake", "staged")]
"""What is trained for more than 20 steps."""
SHORT: list[tuple[Any, str]] = [
    (name, "lenet-digits" if entry.settings.single_network else "staged")
    for name, entry in METHODS.items()
    if name not in ("plain", "bake")
]
"""All other methods, of which each is trained for 6 steps."""
IMAGES = 64 + 64 + 3
"""Of the last batch of an epoch not every one of four ranks has a part."""
RUN: dict[str, Any] = {"method": MEMORY, "epochs": 3, "ema": 0.9}


def start(rank: int, world: int, store: str, seconds: int = SECONDS) -> None:
    patience = timedelta(seconds=seconds)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=patience)


def steps(executor: Executor, epochs: int) -> list[dict[str, float]]:
    """The parts of the loss in each epoch of three steps, on augmented images."""
    history = []
    for epoch in range(1, epochs + 1):
        key = {"seed": 0, "stage": 0, "epoch": epoch}
        order, drawn = permutation(600, stream="order", **key)[:IMAGES], draw(600, padding=1, flip=True, **key)
        (outcome,) = executor.run_epoch(
            [order], rate=0.02, first_step=3 * (epoch - 1), on_step=lambda _: None, drawn=[drawn]
        )
        assert outcome.first_bad_step is None
        history.append(outcome.parts)
    return history


def train(rank: int, world: int) -> list[dict[str, Any]]:
    """What training gives in float64, with BatchNorm, momentum, weight decay, clipping and an average of weights."""
    torch.set_default_dtype(torch.float64)
    found = []
    for variant, model in [*LONG, *(SHORT if world < 4 else [])]:
        # Each rank begins with weights of its own: those of rank 0 count.
        executor = alone("serial" if world == 1 else SEVERAL, variant, rank, model, ema=0.9)
        parts = steps(executor, 7 if (variant, model) in LONG else 2)
        found.append({"parts": parts, "state": executor.states()[0], "scores": executor.scores("test")[0]})
    torch.set_default_dtype(torch.float32)
    return found


def four(rank: int, world: int, store: str, folder: Path) -> dict[str, Any]:
    """Training on each of four ranks, and what is refused there."""
    start(rank, world, store)
    small = message(lambda: osakd.train("digits", batch_size=3, out=folder / "refused"))
    found = {"trained": train(rank, world), "refused": {"batch": small}}
    dist.barrier()  # a rank that ends closes its connections
    return found


def two(rank: int, world: int, store: str, folder: Path) -> dict[str, Any]:
    """Training on each of two ranks, and everything else that two can show."""
    start(rank, world, store)
    found = {
        "trained": train(rank, world),
        "unnamed": unnamed(SEVERAL),
        "sometimes": sometimes_used(),
        "random": random_numbers(rank),
        "runs": runs(folder),
        "refused": refused(rank, folder),
    }
    dist.destroy_process_group()
    start(rank, world, f"{store}-again", PATIENCE)
    found["silent"] = silent(rank)
    return found


def unnamed(name: str) -> dict[str, Tensor]:
    """The weights after steps of a method of which not all networks are named, so every rank computes them whole."""
    torch.set_default_dtype(torch.float64)
    method = method_of("dml", 0, "staged")
    method.of_each_image = ("network",)  # pyright: ignore[reportAttributeAccessIssue] - of this one alone
    executor = build_executor(name, replicas([method]), spec())
    steps(executor, 1)
    torch.set_default_dtype(torch.float32)
    return executor.states()[0]["method"]


class SometimesUsed(nn.Module):
    """Has a parameter that only rank 1 uses, and one that nobody does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(64, 10), nn.Parameter(torch.ones(()))
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        logits = self.layer(images.flatten(1))
        return self.scale * logits if dist.get_rank() == 1 else logits


def sometimes_used() -> dict[str, Tensor]:
    """The weights after steps of a network whose parameters are not used on all ranks."""
    executor = build_executor(SEVERAL, replicas([SelfDistillation(SometimesUsed())]), spec())
    steps(executor, 1)
    return executor.states()[0]["method"]


def random_numbers(rank: int) -> dict[str, Tensor]:
    """What a network with dropout gives for equal rows, and what is drawn afterwards."""
    torch.manual_seed(3)
    method = SelfDistillation(nn.Dropout())
    split_networks(method)
    outputs = method.network(torch.ones(5, 20))
    return {"outputs": outputs, "afterwards": torch.rand(4)}


def runs(folder: Path) -> dict[str, Any]:
    """Whole runs: without a stop; stopped and resumed; of two stages; given to one process afterwards."""
    train_here = partial(osakd.train, "digits", **RUN)
    whole = train_here(out=folder / "whole")
    with suppress(KeyboardInterrupt):
        train_here(out=folder / "stopped", callbacks=[StopAt(3, 2)])
    resumed = train_here(out=folder / "stopped", resume=True)
    again = train_here(out=folder / "whole", resume=True, callbacks=[StopAt(1, 0)])
    osakd.train("digits", method="born-again", epochs=1, out=folder / "stages")
    with suppress(KeyboardInterrupt):
        train_here(out=folder / "given", callbacks=[StopAt(3, 2)])
    return {"same": whole.result == again.result, "executor": resumed.result.environment["executor"]}


def message(call: Callable[[], Any]) -> str:
    """The error that a call raises."""
    try:
        call()
    except (InputError, RunError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def refused(rank: int, folder: Path) -> dict[str, str]:
    """What every rank is told."""
    new: dict[str, Any] = {"out": folder / "refused"}
    own = folder / ("whole" if rank == 0 else "elsewhere")
    more: dict[str, Any] = RUN | {"epochs": 4}
    calls: dict[str, Callable[[], Any]] = {
        "other": lambda: osakd.train("digits", seed=rank, **new),
        "fused": lambda: osakd.train("digits", executor="fused", **new),
        "there": lambda: osakd.train("digits", **RUN, out=folder / "whole"),
        "folders": lambda: osakd.train("digits", **more, resume=True, out=own),
    }
    return {name: message(call) for name, call in calls.items()}


def silent(rank: int) -> str:
    """What a rank is told that waits for one that does not answer."""
    if rank == 1:
        time.sleep(2 * PATIENCE)
        return ""
    return message(lambda: of_all(0))
