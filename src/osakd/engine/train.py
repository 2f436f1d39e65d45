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
from osakd.engine.build import STAGE, build
from osakd.engine.environment import environment
from osakd.engine.executors import choose
from osakd.engine.executors.base import EpochOutcome, Executor
from osakd.engine.folders import check_folder, locked
from osakd.engine.optim import build_optimizer, learning_rate
from osakd.errors import NotFusedError, RunError
from osakd.records import Result, RunConfig

SECONDS_BETWEEN_CHECKPOINTS = 10.0


class Planned(NamedTuple):
    """A run to make: its configuration, the data as it sees them, and where it is recorded."""

    config: RunConfig
    data: DataArrays
    folder: Path


class Watcher(Protocol):
    """What is told of a run while it works; each call may raise to stop it."""

    def start(self, config: RunConfig, steps: int, done: int) -> None:
        """Before the first step: steps in an epoch, and the epochs that an earlier start has done."""

    def step(self, epoch: int, step: int) -> None:
        """Before each step; epochs count from 1, the steps of an epoch from 0."""

    def epoch(self, row: dict[str, Any]) -> None:
        """After each epoch, with its row of the learning curve."""


class Silent:
    """A watcher that says nothing."""

    def start(self, config: RunConfig, steps: int, done: int) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int) -> None:
        """Nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Nothing."""


def train_run(
    config: RunConfig, data: DataArrays, folder: Path, *, resume: bool, device: torch.device, watcher: Watcher
) -> Result:
    """Trains one run to its end, or goes on where it stopped.

    Args:
        config: the complete configuration.
        data: as ``run_view`` gives them for that configuration.
        folder: of the run; made if missing.
        resume: go on with a run that is there.
        device: to train on.
        watcher: is told of every step and epoch.

    Returns:
        The result, which is also on disk.

    Raises:
        InputError: the folder holds another configuration, or the same and ``resume`` is False.
        RunError: a loss that is not finite, or a disk that cannot be written.
    """
    finished = check_folder(folder, config, resume)
    if finished is not None:
        return finished
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        executor, name = choose.serial(build(config, data, device), _settings(config))
        with locked(folder):
            # Now that the folder is ours: another process may have been here since the first look.
            finished = check_folder(folder, config, resume)
            if finished is not None:
                return finished
            loop = _Loop([Planned(config, data, folder)], executor, name, device, watcher)
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
) -> dict[Path, RunError]:
    """Trains runs that differ only in seed and method in one program, or goes on where they stopped together.

    Args:
        runs: those of one seed side by side, each seed with the same methods in the same order; none has finished.
        device: to train on.
        watcher: is told of every step.
        lowerings: how networks may be fused: ``channels``, ``vmap``; the faster is taken.

    Returns:
        The error of each run that failed, by folder; the others have finished.

    Raises:
        NotFusedError: these networks cannot be fused, or the runs stopped at different epochs.
        RunError: a disk that cannot be written, or a folder where another process trains.
    """
    with torch.random.fork_rng(devices=[]), ExitStack() as locks:
        built = [build(run.config, run.data, device) for run in runs]
        groups = len({run.config.seed for run in runs})
        keys = [json.dumps([run.config.method, run.config.settings], sort_keys=True) for run in runs]
        for run in runs:
            locks.enter_context(locked(run.folder))
            check_folder(run.folder, run.config, resume=True)
        before = state.read_checkpoints(runs[0].folder, device)[0]["executor"]
        if before.startswith("fused/"):  # to go on bit for bit it must be the same lowering
            lowerings = [name for name in choose.LOWERINGS if before.startswith(f"fused/{name}")]
        executor, name = choose.fused(built, keys, groups, _settings(runs[0].config), lowerings)
        return _Loop(runs, executor, name, device, watcher).run()


class _Loop:
    """The epochs of runs that go on together."""

    def __init__(
        self, runs: Sequence[Planned], executor: Executor, name: str, device: torch.device, watcher: Watcher
    ) -> None:
        self.runs, self.executor, self.watcher = list(runs), executor, watcher
        self.made_by = environment(device) | {"executor": name}  # now: the files may change while it works
        self.errors: dict[Path, RunError] = {}
        self.results: dict[Path, Result] = {}
        self.steps = _steps(runs[0].config)
        self.seconds = 0.0
        self.done = self._load([state.read_checkpoints(run.folder, device) for run in runs])

    def run(self) -> dict[Path, RunError]:
        """Trains to the end; the errors of runs that failed."""
        for run in self.runs:
            records.clear_left_overs(run.folder)
            records.cut_metrics(run.folder, self.done)
            records.write_config(run.folder, run.config)
        config = self.runs[0].config
        self.watcher.start(config, self.steps, self.done)
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
                result = _result(run.config, records.read_metrics(run.folder), self.seconds, self.made_by)
                records.write_result(run.folder, result)
                self.results[run.folder] = result
        return self.errors

    def _load(self, checkpoints: Sequence[Sequence[dict[str, Any]]]) -> int:
        """Goes on from the last epoch of which every run has a checkpoint."""
        common = set.intersection(*({one["epoch"] for one in run} for run in checkpoints))
        if not common:
            raise NotFusedError(
                "Runs that stopped at different epochs cannot go on in one program: take --executor serial."
            )
        done = max(common)
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
                self.errors[run.folder] = _not_finite(outcome, epoch, run.folder)
                continue
            row = _row(run.config, epoch, rate, seconds, outcome) | {s: scores[s][number] for s in splits}
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
    }


def _steps(config: RunConfig) -> int:
    full, rest = divmod(config.data["train"], config.batch_size)
    return full + (rest > 1)


def _not_finite(outcome: EpochOutcome, epoch: int, folder: Path) -> RunError:
    step = (outcome.first_bad_step or 0) + 1
    kept = f"; the last good checkpoint is in {str(folder)!r}" if (folder / records.CHECKPOINT).exists() else ""
    return RunError(
        f"The loss is not finite at step {step} of epoch {epoch}: take a smaller learning rate or --clip, with "
        f"another --out{kept}."
    )


def _row(config: RunConfig, epoch: int, rate: float, seconds: float, outcome: EpochOutcome) -> dict[str, Any]:
    """The learning curve's row, but for the scores; the time is the run's share of the program's."""
    return {
        "epoch": epoch,
        "learning_rate": rate,
        "seconds": round(seconds, 3),
        "images_per_second": round(config.data["train"] / seconds, 1),
        "train": outcome.parts,
    }


def _result(config: RunConfig, rows: list[dict[str, Any]], seconds: float, made_by: dict[str, Any]) -> Result:
    best = max(rows, key=lambda row: row["test"]["accuracy"])
    chosen = max(rows, key=lambda row: row["validation"]["accuracy"]) if "validation" in rows[0] else None
    notes = []
    if config.data["train"] % config.batch_size == 1:
        notes.append("The last batch of each epoch held one image and was dropped.")
    return Result(
        epochs=config.epochs,
        last=rows[-1],
        best_on_test={"accuracy": best["test"]["accuracy"], "epoch": best["epoch"]},
        chosen_on_validation=chosen
        and {
            "accuracy": chosen["test"]["accuracy"],
            "validation_accuracy": chosen["validation"]["accuracy"],
            "epoch": chosen["epoch"],
        },
        seconds=round(seconds, 3),
        environment=made_by,
        notes=notes,
    )
