"""Which runs go on together in one program: those at the same epoch, as many as fit into memory."""

import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from osakd.engine.build import Built
from osakd.engine.executors.measure import replica_bytes
from osakd.engine.executors.serial import SerialExecutor
from osakd.engine.state import read_checkpoints
from osakd.errors import NotFusedError

SHARE_OF_FREE_MEMORY = 0.8


def common_epoch(folders: Sequence[Path], device: torch.device) -> int | None:
    """The last epoch of which every run has a checkpoint; 0 where none has any, None where they share no epoch."""
    epochs = ({one["epoch"] for one in read_checkpoints(folder, device)} for folder in folders)
    return max(set.intersection(*epochs), default=None)


def waves(folders: Sequence[Path], groups: int, fit: int, device: torch.device) -> list[list[int]]:
    """The numbers of the runs of each wave.

    Args:
        folders: of the runs, those of one seed side by side.
        groups: how many seeds.
        fit: how many runs fit into memory, at least 1.
        device: to read checkpoints to.

    Raises:
        NotFusedError: the runs of a seed stopped at different epochs.
    """
    every = len(folders) // groups
    together = common_epoch(folders, device)
    by_epoch: dict[int | None, list[int]] = {}
    for first in range(0, len(folders), every):
        epoch = common_epoch(folders[first : first + every], device) if together is None else together
        by_epoch.setdefault(epoch, []).append(first)
    if None in by_epoch:
        raise NotFusedError(
            "Runs that stopped at different epochs cannot go on in one program: take --executor serial."
        )
    seeds = max(1, fit // every)
    found = []
    for firsts in by_epoch.values():
        for start in range(0, len(firsts), seeds):
            numbers = [first + number for first in firsts[start : start + seeds] for number in range(every)]
            # Not even the methods of one seed fit: they go in parts.
            size = len(numbers) if fit >= every else fit
            found += [numbers[part : part + size] for part in range(0, len(numbers), size)]
    return found


def memory_mib(replica: Built, settings: dict[str, Any]) -> float:
    """Peak memory of a replica, measured on one step."""
    trial = SerialExecutor(copy.deepcopy(replica.method), replica.splits, **settings)
    return round(replica_bytes(trial, settings["batch_size"]) / 2**20, 3)


def replicas_that_fit(mib: float, device: torch.device) -> int:
    """How many replicas of so much memory fit into what is free now, at least 1."""
    return max(1, int(SHARE_OF_FREE_MEMORY * _free_bytes(device) / 2**20 // mib))


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        said = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:  # a system that does not say
        return sys.maxsize
    return next(1024 * int(line.split()[1]) for line in said.splitlines() if line.startswith("MemAvailable"))
