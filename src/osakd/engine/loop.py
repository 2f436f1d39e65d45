"""The epochs of one run, or of runs that are trained together: training, evaluation, records, checkpoints."""

import copy
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from osakd import records
from osakd.data.augment import draws_of
from osakd.data.classes import listed
from osakd.data.recipes import recipe_in_words
from osakd.data.streams import permutation, torch_seed
from osakd.durable import append
from osakd.engine import state
from osakd.engine.best import AVERAGED, LAST, Chosen, better
from osakd.engine.callbacks import Callback
from osakd.engine.config import chooses
from osakd.engine.deployable import deploy_notes, deployable
from osakd.engine.environment import environment
from osakd.engine.evaluate import REFINED
from osakd.engine.executors.choose import Choice
from osakd.engine.executors.steps import steps_per_epoch
from osakd.engine.folders import clear_left_overs
from osakd.engine.groups import common_epoch
from osakd.engine.optim import learning_rate
from osakd.engine.stages import teacher_digest, teacher_notes
from osakd.errors import InputError, RunError
from osakd.losses.watch import HAD_NO_PART, LEAST_SHARE, NOTHING_KNOWN
from osakd.models.cost import count_parameters
from osakd.records import Result

if TYPE_CHECKING:
    from osakd.engine.plan import Plan

SECONDS_BETWEEN_CHECKPOINTS = 10.0


class Loop:
    """Trains runs together, epoch by epoch; ``memory_mib`` is the peak memory of a replica, for each run."""

    def __init__(
        self,
        runs: "Sequence[Plan]",
        chosen: Choice,
        device: torch.device,
        callback: Callback,
        memory_mib: Sequence[float],
    ) -> None:
        self.memory_mib = list(memory_mib)
        self.runs, self.executor, self.callback = list(runs), chosen.executor, callback
        data = runs[0].data
        parameters = count_parameters(self.executor.networks(averaged=False)[0])
        recipe = recipe_in_words(runs[0].config, data.class_names, parameters)
        self.data_notes, self.notes = [*data.notes, *self.executor.notes], [recipe, *data.describe_classes()]
        self.notes += [*self.data_notes, *chosen.notes]
        self.made_by = environment(device) | {"executor": chosen.name}  # now: files may change later
        self.errors: dict[Path, RunError] = {}
        self.results: dict[Path, Result] = {}
        self.steps = steps_per_epoch(runs[0].config.data["train"], runs[0].config.batch_size)
        self.seconds = 0.0
        self.saved: dict[Path, int] = {}
        self.chosen: list[Chosen | None] = [None for _ in runs]
        self.notes += [*deploy_notes(runs[0].config), *teacher_notes(runs[0].folder, runs[0].config)]
        self.done = self._load(device)

    def run(self) -> dict[Path, RunError]:
        """Trains to the end, and returns the errors of runs that failed."""
        for run in self.runs:
            clear_left_overs(run.folder)
            (run.folder / records.ERROR).unlink(missing_ok=True)
            if not self.done:
                records.write_config(run.folder, run.config)  # first: it claims the folder
            records.cut_metrics(run.folder, self.done)
            records.write_config(run.folder, run.config)
        config = self.runs[0].config
        self.callback.on_train_begin(config, self.steps, self.done, self.notes)
        last_saved, unsaved = time.monotonic(), None
        self._finish(self.done)  # what was killed after its last epoch
        try:
            for epoch in range(self.done + 1, config.epochs + 1):
                if len(self.errors) + len(self.results) == len(self.runs):
                    break
                rows = self._epoch(epoch)
                unsaved = states = self._states(epoch)
                over = any(self._ends(number, epoch) for number in range(len(self.runs)))
                if over or time.monotonic() - last_saved >= SECONDS_BETWEEN_CHECKPOINTS:
                    self._save(states)
                    last_saved, unsaved = time.monotonic(), None
                else:
                    unsaved = copy.deepcopy(states)  # the next epoch changes the tensors
                for row in rows:
                    self.callback.on_epoch_end(row)
                self._finish(epoch)
        except BaseException:
            if unsaved is not None:
                with suppress(RunError, InputError):  # the reason to stop matters more
                    self._save(unsaved)
            raise
        return self.errors

    def _ends(self, number: int, epoch: int) -> bool:
        """Whether a run ends now: with the last epoch of its configuration, or evaluated where patience ends."""
        run, chosen = self.runs[number], self.chosen[number]
        if run.folder in self.errors or run.folder in self.results:
            return False
        waited = epoch - (chosen.epoch if chosen else epoch)
        impatient = run.config.patience is not None and waited >= run.config.patience
        return epoch == run.config.epochs or (impatient and epoch % run.config.evaluate_every == 0)

    def _finish(self, epoch: int) -> None:
        """Writes the deployed network and the result of each run whose last epoch this is."""
        for number, run in enumerate(self.runs):
            if not self._ends(number, epoch):
                continue
            network, deployed = deployable(self.executor, number, run.config, self.chosen[number], epoch)
            state.save_student(run.folder, network, run.config, run.source.arrays.class_names)
            (run.folder / records.PREVIOUS).unlink(missing_ok=True)
            result = self._result(run, self.memory_mib[number], deployed)
            records.write_result(run.folder, result)
            self.results[run.folder] = result

    def _load(self, device: torch.device) -> int:
        """Loads the last epoch of which every run has a checkpoint, and returns its number."""
        done = common_epoch([run.folder for run in self.runs], device) or 0
        of_runs = (state.read_checkpoints(run.folder, device) for run in self.runs)
        checkpoints = [next(each for each in of_run if each["epoch"] == done) for of_run in of_runs]
        self.seconds = checkpoints[0]["seconds"]
        self.chosen = [Chosen(**found) if (found := each.get("chosen")) else None for each in checkpoints]
        for run, checkpoint in zip(self.runs, checkpoints, strict=True):
            self.notes.extend(checkpoint.get("notes", ()))
            if checkpoint.get("teacher", "") != (teacher_digest(run.folder) if done else ""):
                raise RunError(
                    f"The teacher in {str(run.folder)!r} is not the one that this run began with: choose another "
                    "folder."
                )
            names = list(run.source.arrays.class_names)
            before = checkpoint.get("class_names", names)
            if before != names:
                raise InputError(
                    f"The run in {str(run.folder)!r} began with the classes {listed(before)}, but the data have "
                    f"{listed(names)}: give them their names of before, or choose another folder with --out."
                )
        if done:
            try:
                if done > self.runs[0].config.epochs:
                    raise ValueError("it is of a longer run")
                self.executor.load(checkpoints)
            except (RuntimeError, KeyError, ValueError) as error:
                path = self.runs[0].folder / records.CHECKPOINT
                raise RunError(
                    f"The checkpoint {str(path)!r} is damaged: delete it to start this run again from its first epoch."
                ) from error
        return done

    def _epoch(self, epoch: int) -> list[dict[str, Any]]:
        """Trains and evaluates; the rows of the runs that have not failed."""
        start = time.monotonic()
        configs = [run.config for run in self.runs]
        first = configs[0]
        # A network's own random numbers (dropout) are the same whether or not the run was resumed.
        torch.manual_seed(torch_seed(seed=first.seed, stage=first.stage, stream="noise", epoch=epoch))
        count, keys = first.data["train"], [{"seed": c.seed, "stage": c.stage, "epoch": epoch} for c in configs]
        orders = [permutation(count, stream="order", **key) for key in keys]
        drawn = {config.seed: draws_of(config, epoch) for config in configs}
        rate, first_step = learning_rate(first, epoch), (epoch - 1) * self.steps
        outcomes = self.executor.run_epoch(
            orders,
            rate=rate,
            first_step=first_step,
            on_step=lambda step: self.callback.on_step_begin(epoch, step),
            drawn=[drawn[config.seed] for config in configs],
        )
        seconds = (time.monotonic() - start) / len(self.runs)
        due = epoch % first.evaluate_every == 0 or epoch == first.epochs
        splits = (["test", "validation"] if first.validation else ["test"]) if due else []
        scores = {split: self.executor.scores(split) for split in splits}
        self.seconds += (time.monotonic() - start) / len(self.runs)
        rows = []
        for number, (run, outcome) in enumerate(zip(self.runs, outcomes, strict=True)):
            if run.folder in self.errors or run.folder in self.results:
                continue
            if outcome.first_bad_step is not None:
                self.errors[run.folder] = _not_finite(outcome.first_bad_step, epoch, run.folder)
                continue
            row = {
                "epoch": epoch,
                "learning_rate": rate,
                "seconds": round(seconds, 3),
                "images_per_second": round(run.config.data["train"] / seconds, 1),
                "train": outcome.parts,
            }
            row |= _scores_of_row({split: of_runs[number] for split, of_runs in scores.items()})
            append(run.folder / records.METRICS, row)
            rows.append(row)
            if chooses(run.config) and due:
                self._choose(number, epoch, row)
        return rows

    def _choose(self, number: int, epoch: int, row: dict[str, Any]) -> None:
        """Keeps the weights of an epoch, the present or the averaged ones, where they are the best so far."""
        of_weights = {LAST: row, AVERAGED: row["others"][AVERAGED]}
        scores = {name: tuple(map(scored["validation"].get, REFINED)) for name, scored in of_weights.items()}

        def state_of(weights: str) -> dict[str, torch.Tensor]:
            return self.executor.networks(averaged=weights == AVERAGED)[number].state_dict()

        self.chosen[number] = better(self.chosen[number], epoch, scores, state_of)

    def _states(self, epoch: int) -> list[dict[str, Any]]:
        """The content of the checkpoint of each run after an epoch."""
        progress = {"epoch": epoch, "seconds": self.seconds, "executor": self.made_by["executor"]}
        chosen = [{"chosen": chosen and chosen._asdict()} for chosen in self.chosen]
        return [progress | state | best for state, best in zip(self.executor.states(), chosen, strict=True)]

    def _save(self, states: Sequence[dict[str, Any]]) -> None:
        for run, of_run in zip(self.runs, states, strict=True):
            ended = run.folder in self.errors or run.folder in self.results
            if not ended and self.saved.get(run.folder) != of_run["epoch"]:  # a second time would lose the one before
                about = {"teacher": teacher_digest(run.folder), "class_names": list(run.source.arrays.class_names)}
                state.save_checkpoint(run.folder, of_run | about)
                self.saved[run.folder] = of_run["epoch"]

    def _result(self, run: "Plan", memory: float, deployed: dict[str, Any]) -> Result:
        """The result of a run, from its learning curve, its peak memory in MiB and its deployed network."""
        config, rows = run.config, records.read_metrics(run.folder)
        evaluated = [row for row in rows if "test" in row]
        best = max(evaluated, key=lambda row: row["test"]["accuracy"])
        chosen = None
        if "validation" in rows[-1]:
            row = max(evaluated, key=lambda row: row["validation"]["accuracy"])
            chosen = {
                "accuracy": row["test"]["accuracy"],
                "validation_accuracy": row["validation"]["accuracy"],
                "epoch": row["epoch"],
            }
        notes = [*self.data_notes, *deploy_notes(config), *teacher_notes(run.folder, config)]
        if config.data["train"] % config.batch_size == 1:
            notes.append("The last batch of each epoch held one image and was dropped.")
        shares = [row["train"].get("soft_share") for row in rows]
        plain = sum(share is not None and share < LEAST_SHARE for share in shares)
        if 2 * plain > len(rows) and config.settings.get("soft_weight"):
            # Without numbers, so that the seeds of a comparison have one note.
            when = "every epoch" if plain == len(rows) else "most epochs"
            notes.append(f"The soft labels of {config.method} {HAD_NO_PART} in {when}: {NOTHING_KNOWN}")
        overflows = sum(row["test"]["nll"] is None for row in evaluated)
        if overflows:
            notes.append(
                f"Outputs of the network are not finite in {overflows} of {len(evaluated)} evaluations: the NLL and "
                "ECE are missing there, and the accuracy says little."
            )
        step = median(row["seconds"] for row in rows) / self.steps
        return Result(
            epochs=rows[-1]["epoch"],
            last=rows[-1],
            best_on_test={"accuracy": best["test"]["accuracy"], "epoch": best["epoch"]},
            chosen_on_validation=chosen,
            seconds=round(self.seconds, 3),
            environment=self.made_by,
            notes=notes,
            cost={"step_ms": round(1000 * step, 3), "memory_mib": memory},
            deployed=deployed,
            planned_epochs=config.epochs if rows[-1]["epoch"] < config.epochs else None,
        )


def _not_finite(first_bad_step: int, epoch: int, folder: Path) -> RunError:
    """The error of a run whose loss or weights are not finite."""
    last_good = f"; the last good checkpoint is in {str(folder)!r}" if records.has_checkpoint(folder) else ""
    return RunError(
        f"The loss is not finite at step {first_bad_step + 1} of epoch {epoch}: take a smaller learning rate or "
        f"--max-grad-norm, with another --out{last_good}."
    )


def _scores_of_row(scores: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """What was evaluated: the network's scores by split, the scores of other outputs by name and split."""
    first = {split: next(iter(by_name.values())) for split, by_name in scores.items()}
    names = [name for by_name in scores.values() for name in list(by_name)[1:]]
    others = {name: {split: by_name[name] for split, by_name in scores.items()} for name in dict.fromkeys(names)}
    return first | ({"others": others} if others else {})
