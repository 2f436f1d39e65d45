"""Which runs are trained together at a time: runs at the same epoch, as many as fit into memory."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from osakd.engine.executors.registry import CUDA, REFERENCE
from osakd.engine.state import read_checkpoints
from osakd.errors import NotFusedError

SHARE_OF_FREE_MEMORY = 0.8


def common_epoch(folders: Sequence[Path], device: torch.device) -> int | None:
    """The last epoch of which every run has a checkpoint; 0 if no run has one, None if they share no epoch."""
    epochs = ({checkpoint["epoch"] for checkpoint in read_checkpoints(folder, device)} for folder in folders)
    return max(set.intersection(*epochs), default=None)


def split_group(folders: Sequence[Path], seeds: int, fit: int, device: torch.device) -> list[list[int]]:
    """The numbers of the runs of each group that fits into memory.

    Raises:
        NotFusedError: the runs of a seed stopped at different epochs.
    """
    per_seed = len(folders) // seeds
    epoch_of_all = common_epoch(folders, device)
    by_epoch: dict[int | None, list[int]] = {}
    for first in range(0, len(folders), per_seed):
        epoch = epoch_of_all
        if epoch is None:
            epoch = common_epoch(folders[first : first + per_seed], device)
        by_epoch.setdefault(epoch, []).append(first)
    if None in by_epoch:
        raise NotFusedError(
            f"Runs that stopped at different epochs cannot continue together: take --executor {REFERENCE}."
        )
    seeds_at_once = max(1, fit // per_seed)
    groups = []
    for firsts in by_epoch.values():
        for start in range(0, len(firsts), seeds_at_once):
            chosen = firsts[start : start + seeds_at_once]
            numbers = [first + number for first in chosen for number in range(per_seed)]
            # Where not even the runs of one seed fit, they are split.
            size = len(numbers) if fit >= per_seed else fit
            groups += [numbers[part : part + size] for part in range(0, len(numbers), size)]
    return groups


def replicas_that_fit(mib: float, device: torch.device) -> int:
    """Number of replicas of this memory that fit into what is free now, at least 1."""
    return max(1, int(SHARE_OF_FREE_MEMORY * _free_bytes(device) / 2**20 // mib))


def _free_bytes(device: torch.device) -> int:
    if device.type == CUDA:
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # another system
        return sys.maxsize
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
