"""The training loop: epochs, evaluation, records, checkpoints; of one run, or of many in one program."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from osakd import records
from osakd.data.arrays import DataArrays
from osakd.data.streams import permutation, torch_seed
from osakd.engine import state
from osakd.engine.build import STAGE, build, on_device
from osakd.engine.environment import current, environment
from osakd.engine.executors import choose
from osakd.engine.folders import check_folder, locked
from osakd.engine.optim import build_optimizer, learning_rate
from osakd.engine.precision import matmul_precision
from osakd.engine.results import curve_row, not_finite, result_of
from osakd.engine.waves import common_epoch, replicas_that_fit, waves
from osakd.errors import RunError
from osakd.records import Result, RunConfig

SECONDS_BETWEEN_CHECKPOINTS = 10.0


class Planned(NamedTuple):
    """A run to make: its configuration, the data as it sees them, and where it is recorded."""

    config: RunConfig
    data: DataArrays
    folder: Path


class Watcher(Protocol):
    """What is told of a run while it works; each call may raise to stop it."""

    def start(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        """Before the first step: steps in an epoch, epochs that an earlier start has done, what is worth saying."""

    def step(self, epoch: int, step: int) -> None:
        """Before each step; epochs count from 1, the steps of an epoch from 0."""

    def epoch(self, row: dict[str, Any]) -> None:
        """After each epoch, with its row of the learning curve."""


class Silent:
    """A watcher that says nothing."""

    def start(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int) -> None:
        """Nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Nothing."""


def train_run(
    config: RunConfig,
    data: DataArrays,
    folder: Path,
    *,
    resume: bool,
    device: torch.device,
    watcher: Watcher,
    executor: str = "auto",
) -> Result:
    """Trains one run to its end, or goes on where it stopped.

    Args:
        config: the complete configuration.
        data: as ``run_view`` gives them for that configuration.
        folder: of the run; made if missing.
        resume: go on with a run that is there.
        device: to train on.
        watcher: is told of every step and epoch.
        executor: ``serial``, ``graphed``, or ``auto`` for the one that fits the device.

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
    with torch.random.fork_rng(devices=[]), matmul_precision(config.precision, device), current(device):
        chosen = choose.single(build(config, data, device), _settings(config), executor, device)
        with locked(folder):
            # Now that the folder is ours: another process may have been here since the first look.
            finished = check_folder(folder, config, resume)
            if finished is not None:
                return finished
            loop = _Loop([Planned(config, data, folder)], chosen, device, watcher)
            errors = loop.run()
            if errors:
                raise errors[folder]
            return loop.results[folder]


def train_fused(
    runs: Sequence[Planned],
    *,
    device: torch.device,
    watcher: Watcher,
    lowerings: Sequence[str] = tuple(choose.LOWERINGS),
    against_processes: bool = False,
) -> dict[Path, RunError]:
    """Trains runs that differ only in seed and method in one program, or goes on where they stopped together.

    What does not fit into memory together, or stopped at another epoch, runs in waves.

    Args:
        runs: those of one seed side by side, each seed with the same methods in the same order; none has finished.
        device: to train on.
        watcher: is told of every step.
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
        first = build(config, runs[0].data, device)
        fit = replicas_that_fit(first, _settings(config), device)
        for wave in waves(folders, len({run.config.seed for run in runs}), fit, device):
            errors |= _train_wave([runs[number] for number in wave], device, watcher, lowerings, against_processes)
    return errors


def _train_wave(
    runs: Sequence[Planned], device: torch.device, watcher: Watcher, lowerings: Sequence[str], against_processes: bool
) -> dict[Path, RunError]:
    splits = {id(run.data): on_device(run.data, device) for run in runs}
    built = [build(run.config, run.data, device, splits[id(run.data)]) for run in runs]
    keys = [json.dumps([run.config.method, run.config.settings], sort_keys=True) for run in runs]
    before = state.read_checkpoints(runs[0].folder, device)[0]["executor"]
    if before.startswith("fused/"):  # to go on bit for bit it must be the same lowering
        lowerings = [name for name in choose.LOWERINGS if before.startswith(f"fused/{name}")]
        against_processes = False
    groups = len({run.config.seed for run in runs})
    chosen = choose.fused(
        built, keys, groups, _settings(runs[0].config), lowerings, against_processes=against_processes
    )
    return _Loop(runs, chosen, device, watcher).run()


class _Loop:
    """The epochs of runs that go on together."""

    def __init__(self, runs: Sequence[Planned], chosen: choose.Choice, device: torch.device, watcher: Watcher) -> None:
        self.runs, self.executor, self.watcher = list(runs), chosen.executor, watcher
        self.notes = chosen.notes
        self.made_by = environment(device) | {"executor": chosen.name}  # now: the files may change while it works
        self.errors: dict[Path, RunError] = {}
        self.results: dict[Path, Result] = {}
        self.steps = _steps(runs[0].config)
        self.seconds = 0.0
        self.done = self._load(device)

    def run(self) -> dict[Path, RunError]:
        """Trains to the end; the errors of runs that failed."""
        for run in self.runs:
            records.clear_left_overs(run.folder)
            records.cut_metrics(run.folder, self.done)
            records.write_config(run.folder, run.config)
        config = self.runs[0].config
        self.watcher.start(config, self.steps, self.done, self.notes)
        last_saved = time.monotonic()
        for epoch in range(self.done + 1, config.epochs + 1):
            rows = self._epoch(epoch)
            if epoch == config.epochs or time.monotonic() - last_saved >= SECONDS_BETWEEN_CHECKPOINTS:
                self._save(epoch)
                last_saved = time.monotonic()
            for row in rows:
                self.watcher.epoch(row)
            if len(self.errors) == len(self.runs):
                return self.errors
        for run, network in zip(self.runs, self.executor.deployed(), strict=True):
            if run.folder not in self.errors:
                state.save_student(run.folder, network, run.config, run.data.class_names)
                (run.folder / records.PREVIOUS).unlink(missing_ok=True)
                result = result_of(run.config, records.read_metrics(run.folder), self.seconds, self.made_by)
                records.write_result(run.folder, result)
                self.results[run.folder] = result
        return self.errors

    def _load(self, device: torch.device) -> int:
        """Goes on from the last epoch of which every run has a checkpoint."""
        done = common_epoch([run.folder for run in self.runs], device) or 0
        checkpoints = (state.read_checkpoints(run.folder, device) for run in self.runs)
        found = [next(one for one in run if one["epoch"] == done) for run in checkpoints]
        self.seconds = found[0]["seconds"]
        if done:
            try:
                self.executor.load(found)
            except (RuntimeError, KeyError, ValueError) as error:
                path = self.runs[0].folder / records.CHECKPOINT
                raise RunError(
                    f"The checkpoint {str(path)!r} is damaged: delete it to start this run again from its first epoch."
                ) from error
        return done

    def _epoch(self, epoch: int) -> list[dict[str, Any]]:
        """Trains and evaluates; a row for each run that is well."""
        start = time.monotonic()
        first = self.runs[0].config
        # A network's own random numbers (dropout) are the same whether or not the run was resumed.
        torch.manual_seed(torch_seed(seed=first.seed, stage=STAGE, stream="noise", epoch=epoch))
        orders = [
            permutation(run.config.data["train"], seed=run.config.seed, stage=STAGE, stream="order", epoch=epoch)
            for run in self.runs
        ]
        rate, first_step = learning_rate(first, epoch), (epoch - 1) * self.steps
        outcomes = self.executor.run_epoch(
            orders, rate=rate, first_step=first_step, on_step=lambda step: self.watcher.step(epoch, step)
        )
        seconds = (time.monotonic() - start) / len(self.runs)
        splits = ["test", "validation"] if first.validation else ["test"]
        scores = {split: self.executor.scores(split) for split in splits}
        self.seconds += (time.monotonic() - start) / len(self.runs)
        rows = []
        for number, (run, outcome) in enumerate(zip(self.runs, outcomes, strict=True)):
            if run.folder in self.errors:
                continue
            if outcome.first_bad_step is not None:
                self.errors[run.folder] = not_finite(outcome, epoch, run.folder)
                continue
            row = curve_row(run.config, epoch, rate, seconds, outcome) | {s: scores[s][number] for s in splits}
            records.append(run.folder / records.METRICS, row)
            rows.append(row)
        return rows

    def _save(self, epoch: int) -> None:
        for run, found in zip(self.runs, self.executor.states(), strict=True):
            if run.folder not in self.errors:
                name, together = self.made_by["executor"], len(self.runs) > 1
                state.save_checkpoint(
                    run.folder, epoch=epoch, seconds=self.seconds, executor=name, state=found, keep_previous=together
                )


def _settings(config: RunConfig) -> dict[str, Any]:
    """What an executor must know of a configuration."""
    return {
        "optimizer": lambda parameters: build_optimizer(config, parameters),
        "batch_size": config.batch_size,
        "clip": config.clip,
        "total_steps": _steps(config) * config.epochs,
        "precision": config.precision,
    }


def _steps(config: RunConfig) -> int:
    full, rest = divmod(config.data["train"], config.batch_size)
    return full + (rest > 1)
