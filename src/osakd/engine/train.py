"""Training a run with the stages before it, or many runs in one program."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from osakd import records
from osakd.data.arrays import DataArrays
from osakd.engine import state
from osakd.engine.build import build, on_device
from osakd.engine.environment import current
from osakd.engine.executors import choose
from osakd.engine.folders import check_folder, locked
from osakd.engine.loop import Callback, Loop, Planned, steps_of
from osakd.engine.optim import build_optimizer
from osakd.engine.precision import matmul_precision
from osakd.engine.stages import previous_stage, stages
from osakd.engine.waves import memory_mib, replicas_that_fit, waves
from osakd.errors import RunError
from osakd.records import Result, RunConfig


def train_run(
    config: RunConfig,
    data: DataArrays,
    folder: Path,
    *,
    resume: bool,
    device: torch.device,
    callback: Callback,
    executor: str = "auto",
) -> Result:
    """Trains one run to its end, the stages before it first, or goes on where it stopped.

    Args:
        config: the complete configuration.
        data: as ``run_view`` gives them for that configuration.
        folder: of the run; made if missing.
        resume: go on with a run that is there.
        device: to train on.
        callback: is told of every step and epoch.
        executor: ``serial``, ``cuda_graph``, or ``auto`` for the one that fits the device.

    Returns:
        The result, which is also on disk.

    Raises:
        InputError: the folder holds another configuration, or the same and ``resume`` is False.
        RunError: a loss that is not finite, or a disk that cannot be written.
    """
    finished = check_folder(folder, config, resume)
    if finished is not None:
        return finished
    # The caller's random numbers and precision stay as they are.
    earlier = previous_stage(config)
    if earlier is not None:
        teacher = folder / records.TEACHER
        if (folder / records.CHECKPOINT).exists() and records.read_result(teacher) is None:
            raise RunError(f"The teacher of {str(folder)!r} is gone: bring its folder back, or choose another --out.")
        with torch.random.fork_rng(devices=[]):
            first, place = stages(config, folder)[0]
            build(first, data, device, place)  # what cannot be built claims no folder
        with locked(folder):
            check_folder(folder, config, resume)
            records.write_config(folder, config)  # a folder with a teacher says whose it is
        train_run(earlier, data, teacher, resume=True, device=device, callback=callback, executor=executor)
        resume = True
    with torch.random.fork_rng(devices=[]), matmul_precision(config.precision, device), current(device):
        built = build(config, data, device, folder)
        memory = memory_mib(built, _settings(config))
        chosen = choose.single(built, _settings(config), executor, device)
        with locked(folder):
            # Now that the folder is ours: another process may have been here since the first look.
            finished = check_folder(folder, config, resume)
            if finished is not None:
                return finished
            loop = Loop([Planned(config, data, folder)], chosen, device, callback, [memory])
            errors = loop.run()
            if errors:
                raise errors[folder]
            return loop.results[folder]


def train_fused(
    runs: Sequence[Planned],
    *,
    device: torch.device,
    callback: Callback,
    lowerings: Sequence[str] = tuple(choose.LOWERINGS),
    against_processes: bool = False,
) -> dict[Path, RunError]:
    """Trains runs that differ only in seed and method in one program, or goes on where they stopped together.

    What does not fit into memory together, or stopped at another epoch, runs in waves. The stages before these runs
    must have finished.

    Args:
        runs: those of one seed side by side, each seed with the same methods in the same order; none has finished.
        device: to train on.
        callback: is told of every step.
        lowerings: how networks may be fused: ``channels``, ``vmap``; the faster is taken.
        against_processes: refuse where a process for each run is clearly faster.

    Returns:
        The error of each run that failed, by folder; the others have finished.

    Raises:
        NotFusedError: these networks cannot be fused, or the runs of a seed stopped at different epochs.
        RunError: a disk that cannot be written, or a folder where another process trains.
    """
    config = runs[0].config
    folders = [run.folder for run in runs]
    errors: dict[Path, RunError] = {}
    with torch.random.fork_rng(devices=[]), matmul_precision(config.precision, device), ExitStack() as locks:
        locks.enter_context(current(device))
        for run in runs:
            locks.enter_context(locked(run.folder))
            check_folder(run.folder, run.config, resume=True)
        memory = _memory_by_key(runs, device)
        fit = replicas_that_fit(max(memory.values()), device)
        for wave in waves(folders, len({run.config.seed for run in runs}), fit, device):
            chosen = [runs[number] for number in wave]
            errors |= _train_wave(chosen, device, callback, lowerings, against_processes, memory)
    return errors


def _train_wave(
    runs: Sequence[Planned],
    device: torch.device,
    callback: Callback,
    lowerings: Sequence[str],
    against_processes: bool,
    memory: dict[str, float],
) -> dict[Path, RunError]:
    splits = {id(run.data): on_device(run.data, device) for run in runs}
    built = [build(run.config, run.data, device, run.folder, splits[id(run.data)]) for run in runs]
    keys = [_key(run.config) for run in runs]
    wrote = state.read_checkpoints(runs[0].folder, device)[0]["executor"]
    if wrote.startswith("fused/"):  # to go on bit for bit it must be the same lowering
        lowerings = [name for name in choose.LOWERINGS if wrote.startswith(f"fused/{name}")]
        against_processes = False
    groups = len({run.config.seed for run in runs})
    settings = _settings(runs[0].config)
    chosen = choose.fused(built, keys, groups, settings, lowerings, against_processes=against_processes)
    return Loop(runs, chosen, device, callback, [memory[key] for key in keys]).run()


def _memory_by_key(runs: Sequence[Planned], device: torch.device) -> dict[str, float]:
    """Peak memory in MiB of a replica of each method."""
    first = {_key(run.config): run for run in reversed(runs)}
    return {
        key: memory_mib(build(run.config, run.data, device, run.folder), _settings(run.config))
        for key, run in first.items()
    }


def _key(config: RunConfig) -> str:
    """What a run's method is; runs of one key differ in their seeds only."""
    return json.dumps([config.method, config.settings], sort_keys=True)


def _settings(config: RunConfig) -> dict[str, Any]:
    """What an executor must know of a configuration."""
    return {
        "optimizer": lambda groups: build_optimizer(config, groups),
        "batch_size": config.batch_size,
        "max_grad_norm": config.max_grad_norm,
        "total_steps": steps_of(config) * config.epochs,
        "precision": config.precision,
        "reflect": config.crop_padding == "reflect",
    }
