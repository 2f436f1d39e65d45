"""Which runs share a program at a time: runs at the same epoch, as many as fit into memory."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from osakd.engine.executors.base import Replicas, TrainingSpec
from osakd.engine.executors.measure import replica_bytes
from osakd.engine.executors.registry import REFERENCE
from osakd.engine.state import read_checkpoints
from osakd.errors import NotFusedError

SHARE_OF_FREE_MEMORY = 0.8


def common_epoch(folders: Sequence[Path], device: torch.device) -> int | None:
    """The last epoch of which every run has a checkpoint; 0 if no run has one, None if they share no epoch."""
    epochs = ({one["epoch"] for one in read_checkpoints(folder, device)} for folder in folders)
    return max(set.intersection(*epochs), default=None)


def waves(folders: Sequence[Path], groups: int, fit: int, device: torch.device) -> list[list[int]]:
    """The numbers of the runs of each wave.

    Args:
        folders: folders of the runs, those of one seed side by side.
        groups: number of seeds.
        fit: number of runs that fit into memory, at least 1.
        device: device to read checkpoints to.

    Raises:
        NotFusedError: the runs of a seed stopped at different epochs.
    """
    per_seed = len(folders) // groups
    together = common_epoch(folders, device)
    by_epoch: dict[int | None, list[int]] = {}
    for first in range(0, len(folders), per_seed):
        epoch = common_epoch(folders[first : first + per_seed], device) if together is None else together
        by_epoch.setdefault(epoch, []).append(first)
    if None in by_epoch:
        raise NotFusedError(
            f"Runs that stopped at different epochs cannot continue in one program: take --executor {REFERENCE}."
        )
    seeds = max(1, fit // per_seed)
    numbers_of_waves = []
    for firsts in by_epoch.values():
        for start in range(0, len(firsts), seeds):
            numbers = [first + number for first in firsts[start : start + seeds] for number in range(per_seed)]
            # Where not even the runs of one seed fit, they are split.
            size = len(numbers) if fit >= per_seed else fit
            numbers_of_waves += [numbers[part : part + size] for part in range(0, len(numbers), size)]
    return numbers_of_waves


def memory_mib(replicas: Replicas, spec: TrainingSpec) -> float:
    """Peak memory of the first replica, measured on one training step of a copy."""
    return round(replica_bytes(replicas, spec) / 2**20, 3)


def replicas_that_fit(mib: float, device: torch.device) -> int:
    """Number of replicas of this memory that fit into what is free now, at least 1."""
    return max(1, int(SHARE_OF_FREE_MEMORY * _free_bytes(device) / 2**20 // mib))


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # another system
        return sys.maxsize
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
