"""Training a run and the stages before it, or many runs in one program."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from osakd import records
from osakd.data.arrays import DataArrays
from osakd.engine import state
from osakd.engine.build import Built, build, on_device
from osakd.engine.callbacks import Callback
from osakd.engine.environment import current
from osakd.engine.evaluate import probability_notes
from osakd.engine.executors import choose
from osakd.engine.executors.base import Replicas, TrainingSpec
from osakd.engine.executors.policy import Sharing
from osakd.engine.executors.registry import AUTO
from osakd.engine.folders import check_folder, lock_run
from osakd.engine.loop import Loop, Planned, steps_of
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
    executor: str = AUTO,
    kernels: str = AUTO,
) -> Result:
    """Trains a run and the stages before it, or continues where it stopped.

    Args:
        config: the complete configuration.
        data: the data as ``run_view`` gives them for that configuration.
        folder: the run's folder; made if missing.
        resume: continue a run that is in the folder.
        device: device to train on.
        callback: called at every step and epoch.
        executor: name of the executor, as ``--executor``.
        kernels: what computes small networks on a CPU, as ``--kernels``.

    Returns:
        The result, which is also recorded in the folder.

    Raises:
        InputError: the folder has another configuration, or this one and ``resume`` is False.
        RunError: a loss that is not finite, or a disk that cannot be written.
    """
    finished = check_folder(folder, config, resume)
    if finished is not None:
        return finished
    # The caller's random numbers and precision stay unchanged.
    earlier = previous_stage(config)
    if earlier is not None:
        teacher = folder / records.TEACHER
        if records.has_checkpoint(folder) and records.read_result(teacher) is None:
            raise RunError(f"The teacher of {str(folder)!r} is gone: bring its folder back, or choose another --out.")
        with torch.random.fork_rng(devices=[]):
            first, place = stages(config, folder)[0]
            build(first, data, device, place)  # what cannot be built claims no folder
        _claim(folder, config, resume)
        train_run(
            earlier, data, teacher, resume=True, device=device, callback=callback, executor=executor, kernels=kernels
        )
        resume = True
    with torch.random.fork_rng(devices=[]), matmul_precision(config.precision, device), current(device):
        replicas, spec = _single(build(config, data, device, folder)), training_spec(config)
        memory = memory_mib(replicas, spec)
        recorded = state.read_checkpoints(folder, device)[0]["executor"]
        chosen = choose.alone(replicas, spec, executor, kernels=kernels, recorded=recorded)
        with lock_run(folder):
            # Check again under the lock: another process may have been here since.
            finished = check_folder(folder, config, resume)
            if finished is not None:
                return finished
            chosen.notes.extend(probability_notes(replicas.methods[0].network, replicas.splits[0]["test"]))
            loop = Loop([Planned(config, data, folder)], chosen, device, callback, [memory])
            errors = loop.run()
            if errors:
                raise errors[folder]
            return loop.results[folder]


def _claim(folder: Path, config: RunConfig, resume: bool) -> None:
    """Writes the configuration: a folder with a teacher says whose it is."""
    with lock_run(folder):
        check_folder(folder, config, resume)
        records.write_config(folder, config)


def train_fused(
    runs: Sequence[Planned], *, device: torch.device, callback: Callback, sharing: Sharing
) -> dict[Path, RunError]:
    """Trains runs that differ only in seed and method in one program, or continues where they stopped together.

    Runs that do not fit into memory together, or stopped at different epochs, are trained in waves. The stages before
    these runs must have finished.

    Args:
        runs: those of one seed side by side, each seed with the same methods in the same order; none has finished.
        device: device to train on.
        callback: called at every step.
        sharing: which executors may run them; the fastest is taken.

    Returns:
        The error of each run that failed, by folder; the others have finished.

    Raises:
        NotFusedError: these networks cannot be fused, a process for each run is faster, or the runs of a seed stopped
            at different epochs.
        RunError: a disk that cannot be written, or a folder where another process trains.
    """
    config = runs[0].config
    folders = [run.folder for run in runs]
    errors: dict[Path, RunError] = {}
    with torch.random.fork_rng(devices=[]), matmul_precision(config.precision, device), ExitStack() as locks:
        locks.enter_context(current(device))
        for run in runs:
            locks.enter_context(lock_run(run.folder))
            check_folder(run.folder, run.config, resume=True)
        memory = _memory_by_key(runs, device)
        fit = replicas_that_fit(max(memory.values()), device)
        for wave in waves(folders, _seeds(runs), fit, device):
            errors |= _train_wave([runs[number] for number in wave], device, callback, sharing, memory)
    return errors


def _train_wave(
    runs: Sequence[Planned], device: torch.device, callback: Callback, sharing: Sharing, memory: dict[str, float]
) -> dict[Path, RunError]:
    splits = {id(run.data): on_device(run.data, device) for run in runs}
    built = [build(run.config, run.data, device, run.folder, splits[id(run.data)]) for run in runs]
    keys = [_key(run.config) for run in runs]
    per_seed = len(runs) // _seeds(runs)
    replicas = Replicas([one.method for one in built], [one.splits for one in built[::per_seed]], keys)
    recorded = state.read_checkpoints(runs[0].folder, device)[0]["executor"]
    chosen = choose.together(replicas, training_spec(runs[0].config), sharing.resumed(recorded))
    chosen.notes.extend(probability_notes(built[0].method.network, built[0].splits["test"]))
    return Loop(runs, chosen, device, callback, [memory[key] for key in keys]).run()


def training_spec(config: RunConfig) -> TrainingSpec:
    """What an executor must know of a configuration."""
    return TrainingSpec(
        optimizer=lambda groups: build_optimizer(config, groups),
        batch_size=config.batch_size,
        total_steps=steps_of(config) * config.epochs,
        max_grad_norm=config.max_grad_norm,
        precision=config.precision,
        ema=config.ema,
        deploy_ema=config.deploy_ema,
        reflect=config.crop_padding == "reflect",
    )


def _memory_by_key(runs: Sequence[Planned], device: torch.device) -> dict[str, float]:
    """Peak memory in MiB of a replica of each method."""
    first = {_key(run.config): run for run in reversed(runs)}
    return {
        key: memory_mib(_single(build(run.config, run.data, device, run.folder)), training_spec(run.config))
        for key, run in first.items()
    }


def _single(built: Built) -> Replicas:
    return Replicas([built.method], [built.splits])


def _seeds(runs: Sequence[Planned]) -> int:
    return len({run.config.seed for run in runs})


def _key(config: RunConfig) -> str:
    """Identifies a run's method; runs with equal keys differ in their seeds only."""
    return json.dumps([config.method, config.settings], sort_keys=True)
