"""The page's script for Accelerate, on one of several processes that torchrun has started."""

from typing import Any

import torch

from tests.integrations.pages import blocks, run
from tests.losses.ranks import as_torchrun

ONE_BATCH = 64


def trained(world: int, micro_batches: int = 1, more: str = "") -> dict[str, Any]:
    """The names that the script leaves in float64, with the same whole batches on any number of processes."""
    (script,) = blocks("Accelerate")
    changes = {
        # The order depends on the processes.
        "batch_size=32, shuffle=True": f"batch_size={ONE_BATCH // world // micro_batches}",
        "Accelerator()": f"Accelerator(cpu=True, gradient_accumulation_steps={micro_batches})",
        "k=8, ": f"k=8, {more}",
    }
    for old, new in changes.items():
        assert old in script
        script = script.replace(old, new)
    torch.set_default_dtype(torch.float64)
    try:
        return run(script, samples=22 * ONE_BATCH)
    finally:
        torch.set_default_dtype(torch.float32)


def on_rank(rank: int, world: int, port: int) -> dict[str, Any]:
    """What a process has trained, and what it has after it has loaded the checkpoint."""
    as_torchrun(rank, world, port)
    names = trained(world)
    before = state_of(names)
    for module in (names["loss"], names["network"]):
        for value in module.state_dict().values():
            value.zero_()
    names["accelerator"].wait_for_everyone()  # one process writes what all read
    names["accelerator"].load_state("checkpoint")
    return {"trained": before, "loaded": state_of(names), "processes": names["accelerator"].num_processes}


def state_of(names: dict[str, Any]) -> dict[str, Any]:
    """The weights, and what the loss keeps."""
    network = names["accelerator"].unwrap_model(names["network"])
    return {name: value.clone() for name, value in (network.state_dict() | names["loss"].state_dict()).items()}
