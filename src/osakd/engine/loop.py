"""The epochs of one run, or of many that go on together: training, evaluation, records, checkpoints."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from osakd import records
from osakd.data.arrays import DataArrays
from osakd.data.augment import draw
from osakd.data.streams import permutation, torch_seed
from osakd.engine import state
from osakd.engine.environment import environment
from osakd.engine.executors import choose
from osakd.engine.folders import clear_left_overs
from osakd.engine.optim import learning_rate
from osakd.engine.results import curve_row, not_finite, result_of, with_scores
from osakd.engine.stages import teacher_digest
from osakd.engine.waves import common_epoch
from osakd.errors import RunError
from osakd.records import Result, RunConfig

SECONDS_BETWEEN_CHECKPOINTS = 10.0


class Planned(NamedTuple):
    """A run to make: its configuration, the data as it sees them, and where it is recorded."""

    config: RunConfig
    data: DataArrays
    folder: Path


class Callback(Protocol):
    """What is told of a run while it works; each call may raise to stop it."""

    def start(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        """Before the first step: steps in an epoch, epochs that an earlier start has done, what is worth saying."""

    def step(self, epoch: int, step: int) -> None:
        """Before each step; epochs count from 1, the steps of an epoch from 0."""

    def epoch(self, row: dict[str, Any]) -> None:
        """After each epoch, with its row of the learning curve."""


class Silent:
    """A callback that says nothing."""

    def start(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int) -> None:
        """Nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Nothing."""


class Loop:
    """The epochs of runs that go on together.

    Args:
        runs: which.
        chosen: what runs their steps.
        device: to train on.
        callback: is told of every step and epoch.
        memory_mib: peak memory of a replica, by run.
    """

    def __init__(
        self,
        runs: Sequence[Planned],
        chosen: choose.Choice,
        device: torch.device,
        callback: Callback,
        memory_mib: Sequence[float],
    ) -> None:
        self.memory_mib = list(memory_mib)
        self.runs, self.executor, self.callback = list(runs), chosen.executor, callback
        data = runs[0].data
        self.notes = [*data.describe_classes(), *data.notes, *chosen.notes]
        self.made_by = environment(device) | {"executor": chosen.name}  # now: the files may change while it works
        self.errors: dict[Path, RunError] = {}
        self.results: dict[Path, Result] = {}
        self.steps = steps_of(runs[0].config)
        self.seconds = 0.0
        self.done = self._load(device)

    def run(self) -> dict[Path, RunError]:
        """Trains to the end; the errors of runs that failed."""
        for run in self.runs:
            clear_left_overs(run.folder)
            (run.folder / records.ERROR).unlink(missing_ok=True)
            if not self.done:
                records.write_config(run.folder, run.config)  # first: it says whose folder this is
            records.cut_metrics(run.folder, self.done)
            records.write_config(run.folder, run.config)
        config = self.runs[0].config
        self.callback.start(config, self.steps, self.done, self.notes)
        last_saved = time.monotonic()
        for epoch in range(self.done + 1, config.epochs + 1):
            rows = self._epoch(epoch)
            if epoch == config.epochs or time.monotonic() - last_saved >= SECONDS_BETWEEN_CHECKPOINTS:
                self._save(epoch)
                last_saved = time.monotonic()
            for row in rows:
                self.callback.epoch(row)
            if len(self.errors) == len(self.runs):
                return self.errors
        for run, network, memory in zip(self.runs, self.executor.deployed(), self.memory_mib, strict=True):
            if run.folder not in self.errors:
                state.save_student(run.folder, network, run.config, run.data.class_names)
                (run.folder / records.PREVIOUS).unlink(missing_ok=True)
                rows = records.read_metrics(run.folder)
                result = result_of(run.config, rows, self.seconds, self.made_by, self.steps, memory, run.data.notes)
                records.write_result(run.folder, result)
                self.results[run.folder] = result
        return self.errors

    def _load(self, device: torch.device) -> int:
        """Goes on from the last epoch of which every run has a checkpoint."""
        done = common_epoch([run.folder for run in self.runs], device) or 0
        checkpoints = (state.read_checkpoints(run.folder, device) for run in self.runs)
        found = [next(one for one in run if one["epoch"] == done) for run in checkpoints]
        self.seconds = found[0]["seconds"]
        for run, one in zip(self.runs, found, strict=True):
            if one.get("teacher", "") != (teacher_digest(run.folder) if done else ""):
                raise RunError(
                    f"The teacher in {str(run.folder)!r} is not the one that this run began with: choose another "
                    "folder."
                )
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
        configs = [run.config for run in self.runs]
        first = configs[0]
        # A network's own random numbers (dropout) are the same whether or not the run was resumed.
        torch.manual_seed(torch_seed(seed=first.seed, stage=first.stage, stream="noise", epoch=epoch))
        count, keys = first.data["train"], [{"seed": c.seed, "stage": c.stage, "epoch": epoch} for c in configs]
        orders = [permutation(count, stream="order", **key) for key in keys]
        augmented = first.crop or first.flip
        drawn = [draw(count, padding=first.crop, flip=first.flip, **key) for key in keys] if augmented else None
        rate, first_step = learning_rate(first, epoch), (epoch - 1) * self.steps
        outcomes = self.executor.run_epoch(
            orders,
            rate=rate,
            first_step=first_step,
            on_step=lambda step: self.callback.step(epoch, step),
            drawn=drawn,
        )
        seconds = (time.monotonic() - start) / len(self.runs)
        due = epoch % first.evaluate_every == 0 or epoch == first.epochs
        splits = (["test", "validation"] if first.validation else ["test"]) if due else []
        scores = {split: self.executor.scores(split) for split in splits}
        self.seconds += (time.monotonic() - start) / len(self.runs)
        rows = []
        for number, (run, outcome) in enumerate(zip(self.runs, outcomes, strict=True)):
            if run.folder in self.errors:
                continue
            if outcome.first_bad_step is not None:
                self.errors[run.folder] = not_finite(outcome, epoch, run.folder)
                continue
            row = curve_row(run.config, epoch, rate, seconds, outcome)
            row = with_scores(row, {split: found[number] for split, found in scores.items()})
            records.append(run.folder / records.METRICS, row)
            rows.append(row)
        return rows

    def _save(self, epoch: int) -> None:
        for run, found in zip(self.runs, self.executor.states(), strict=True):
            if run.folder not in self.errors:
                about = {"epoch": epoch, "seconds": self.seconds, "executor": self.made_by["executor"]}
                about["teacher"] = teacher_digest(run.folder)
                state.save_checkpoint(run.folder, about | found, keep_previous=len(self.runs) > 1)


def steps_of(config: RunConfig) -> int:
    """The steps of an epoch; a last batch of one image is dropped."""
    full, rest = divmod(config.data["train"], config.batch_size)
    return full + (rest > 1)
