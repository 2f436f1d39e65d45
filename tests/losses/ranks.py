"""Steps that are the same on any number of processes, and what runs them on several."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import start_processes
from torch.nn.parallel import DistributedDataParallel

from osakd import OSAKDLoss, OutputMemory, Reliability
from osakd.errors import InputError

C, N, BATCH, FEATURES = 3, 96, 48, 5
STEPS, SECONDS = 20, 120
SIZES = {1: [48], 2: [31, 17], 4: [20, 0, 5, 23]}
"""Samples of each rank in every second step; in the others all have equally many."""
KINDS: dict[str, Callable[[], OSAKDLoss]] = {
    "batch": lambda: OSAKDLoss(C, k=5),
    "others": lambda: OSAKDLoss(C, k=4, include_self=False, divergence="mse", reliability=False),
    "memory": lambda: OSAKDLoss(
        C,
        k=4,
        include_self=False,
        memory=OutputMemory(N, C),
        reliability=Reliability(),
        balance="convex",
    ),
    "queue": lambda: OSAKDLoss(C, k=5, pool="queue", queue_size=100),
    "ignored": lambda: OSAKDLoss(C, k=5, reliability=False, weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1),
    "probabilities": lambda: OSAKDLoss(C, k=5, weight=torch.tensor([1.0, 2.0, 0.5])),
}


def on_ranks(world: int, function: Callable[..., Any], *arguments: Any, preload: Sequence[str] = ()) -> list[Any]:
    """What ``function(rank, world, *arguments)`` returns on each of so many processes; ``preload``: its modules."""
    # A server that has imported torch forks the processes: importing it in each of them would take seconds.
    set_forkserver_preload(["torch", "torch._dynamo", "tests.losses.ranks", *preload])
    with tempfile.TemporaryDirectory() as folder:
        given, until = (world, folder, function, arguments), time.monotonic() + SECONDS
        started = start_processes(_run, given, nprocs=world, join=False, start_method="forkserver")
        assert started is not None
        while not started.join(timeout=1):
            if time.monotonic() > until:
                for process in started.processes:
                    process.kill()
                raise TimeoutError(f"{world} processes have not ended after {SECONDS} seconds")
        return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(world)]


def _run(rank: int, world: int, folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    torch.save(function(rank, world, *arguments), Path(folder) / f"{rank}.pt")
    # Without destructors: gloo's may wait for a thread that waits for the interpreter.
    os._exit(0)


def torchrun_store() -> dist.TCPStore:
    """The store by which torchrun's processes find each other; its port is an argument of ``as_torchrun``."""
    return dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def as_torchrun(rank: int, world: int, port: int) -> None:
    """Tells this process its rank as torchrun does."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    os.environ |= {"GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "none"}


def script(rank: int, world: int, port: int, code: str) -> dict[str, Any]:
    """What a user's script has trained, which joins the processes itself as torchrun tells it to."""
    as_torchrun(rank, world, port)
    names = vars(sys.modules["__main__"])
    exec(code, names)  # the page's own lines
    return {"weights": names["network"].state_dict(), "kept": names["loss"].state_dict()}


def everything(rank: int, world: int, store: str, states: dict[str, Any]) -> dict[str, Any]:
    """All steps below on one rank.

    Args:
        rank: this process.
        world: number of processes.
        store: file by which the processes find each other.
        states: those of one process after half of the steps.
    """
    patience = timedelta(seconds=30)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=patience)
    results = {
        "training": {kind: train(rank, world, kind) for kind in KINDS},
        "resumed": {kind: train(rank, world, kind, state) for kind, state in states.items()},
        "repeated": repeated(rank, world),
        "local": local(rank),
        "refused": refused(rank),
    }
    dist.barrier()  # a rank that ends closes its connections
    return results


class Step(nn.Module):
    """A network with its loss."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, C))
        self.loss = KINDS[kind]()
        self.seen = torch.empty(0)

    def forward(self, images: Tensor, target: Tensor, index: Tensor, network: nn.Module | None = None) -> Tensor:
        terms = self.loss.terms((network or self.network)(images), target, index)
        self.seen = terms.soft_labels
        return terms.total


def whole_batch(kind: str, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """The images, targets and indices of a step on all ranks together."""
    images = torch.randn(N, FEATURES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target = (images[:, 0] > 0).long() + (images[:, 1] > 0).long()
    index = torch.randperm(N, generator=torch.Generator().manual_seed(100 + step))[:BATCH]
    images, target = images[index], target[index]
    if kind in ("ignored", "queue"):
        return images, torch.where(index % 5 == 0, -100, target), index
    if kind == "probabilities":
        one_hot = nn.functional.one_hot(target, C).double()
        return images, 0.7 * one_hot + 0.3 * one_hot.roll(1, 0), index
    return images, target, index


def train(rank: int, world: int, kind: str, resumed: dict[str, Any] | None = None) -> dict[str, Any]:
    """Trains for all steps; from half of them on if a state is given. Returns what one process must give too."""
    step = Step(kind).double()
    if resumed is not None:
        step.load_state_dict(resumed)
    model: Callable[..., Tensor] = step
    if world == 2:  # all buffers of the loss are broadcast before each step
        model = DistributedDataParallel(step)
    elif world == 4:  # none is
        model = partial(step, network=DistributedDataParallel(step.network))
    losses, soft_labels, half = [], [], {}
    for number in range(STEPS // 2 if resumed is not None else 0, STEPS):
        if number == STEPS // 2:
            half = {name: value.clone() for name, value in step.state_dict().items()}
        sizes = SIZES[world] if number % 2 else [BATCH // world] * world
        images, target, index = (part.split(sizes)[rank] for part in whole_batch(kind, number))
        loss = model(images, target, index)
        loss.backward()
        with torch.no_grad():
            for parameter in step.parameters():
                assert parameter.grad is not None
                parameter -= 0.5 * parameter.grad
                parameter.grad = None
        losses.append(loss.detach())
        soft_labels.append(step.seen)
    return {"state": step.state_dict(), "half": half, "losses": torch.stack(losses), "soft_labels": soft_labels}


REPEATED = [*range(7), 0]
"""Seven samples, of which a sampler gives the first one to the last rank once more."""


def repeated_rows() -> tuple[Tensor, Tensor]:
    """Logits and classes of the repeated samples; the first one comes back augmented, with other logits."""
    logits = torch.randn(len(REPEATED), C, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return logits, torch.tensor(REPEATED) % C


def repeated_loss(kind: str) -> OSAKDLoss:
    memory = OutputMemory(7, C) if kind == "memory" else None
    return OSAKDLoss(C, k=2, include_self=kind == "self", memory=memory, reliability=Reliability()).double()


def repeated(rank: int, world: int) -> dict[str, Any]:
    """The soft labels of the rank's part of repeated samples, and what is kept of them."""
    logits, target = repeated_rows()
    own = torch.arange(len(REPEATED)).chunk(world)[rank]
    results = {}
    for kind in ("self", "others", "memory"):
        loss = repeated_loss(kind)
        soft_labels = loss.terms(logits[own], target[own], torch.tensor(REPEATED)[own]).soft_labels
        results[kind] = {"soft_labels": soft_labels, "state": loss.state_dict()}
    return results


def rows_of(rank: int) -> tuple[Tensor, Tensor]:
    """Six logits and classes of a rank."""
    logits = torch.randn(6, C, generator=torch.Generator().manual_seed(10 + rank), dtype=torch.float64)
    return logits, torch.arange(6) % C


def local(rank: int) -> dict[str, Any]:
    """What a rank gives alone, and in a group of two ranks."""
    loss = OSAKDLoss(C, k=3)
    pairs = [dist.new_group([first, first + 1]) for first in range(0, dist.get_world_size(), 2)]
    results = {
        "gather=False": OSAKDLoss(C, k=3, gather=False)(*rows_of(rank)),
        "group": OSAKDLoss(C, k=3, group=pairs[rank // 2]).soft_labels(*rows_of(rank)),
    }
    if rank == 0:
        results["eval"] = loss.eval()(*rows_of(rank))
    return results


def refused(rank: int) -> dict[str, str]:
    """The messages of calls that every rank must refuse, although only one gives something wrong."""
    logits, target = rows_of(rank)
    odd = rank == 1
    other = dist.new_group([0])
    calls: dict[str, Callable[[], Any]] = {
        "index": lambda: OSAKDLoss(C, k=3)(logits, target, torch.arange(6) if odd else None),
        # Two probabilities have as many bytes as an index.
        "kind": lambda: OSAKDLoss(2, k=3)(logits[:, :2], torch.full((6, 2), 0.5) if odd else target % 2),
        "class": lambda: OSAKDLoss(C, k=3)(logits, target + 1 if odd else target),
        "k": lambda: OSAKDLoss(C, k=6 * dist.get_world_size() + 1)(logits, target),
        "empty": lambda: OSAKDLoss(C, k=3)(logits[:0], target[:0]),
    }
    if rank:
        calls["group"] = lambda: OSAKDLoss(C, k=3, group=other)(logits, target)
    messages = {}
    for name, call in calls.items():
        try:
            call()
        except InputError as error:
            messages[name] = str(error)
    return messages
