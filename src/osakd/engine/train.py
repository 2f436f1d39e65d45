"""The training loop: epochs, evaluation, records, checkpoints."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from filelock import FileLock, Timeout
from torch import nn

from osakd import records
from osakd.data.arrays import DataArrays, Split
from osakd.data.streams import permutation, torch_seed
from osakd.engine import state
from osakd.engine.config import can_continue
from osakd.engine.environment import environment
from osakd.engine.evaluate import DeviceSplit, evaluate
from osakd.engine.executors.serial import EpochOutcome, SerialExecutor
from osakd.engine.optim import build_optimizer, learning_rate
from osakd.errors import InputError, RunError
from osakd.methods.base import Method
from osakd.methods.lookup import build_method
from osakd.models.lookup import build_model
from osakd.models.normalise import Normalise
from osakd.records import Result, RunConfig

SECONDS_BETWEEN_CHECKPOINTS = 10.0
SECONDS_TO_WAIT_FOR_A_LOCK = 5.0  # a worker whose parent was killed needs a moment to notice
STAGE = 0  # the only stage of these methods


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


class _Parts(NamedTuple):
    method: Method
    optimizer: torch.optim.Optimizer
    splits: dict[str, DeviceSplit]


def train_run(
    config: RunConfig, data: DataArrays, folder: Path, *, resume: bool, device: torch.device, watcher: Watcher
) -> Result:
    """Trains one run to its end, or goes on where it stopped.

    Args:
        config: the complete configuration.
        data: as ``configure`` gave them with the configuration.
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
    finished = _check_folder(folder, config, resume)
    if finished is not None:
        return finished
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        parts = _build(config, data, device)
        with _locked(folder):
            # Now that the folder is ours: another process may have been here since the first look.
            finished = _check_folder(folder, config, resume)
            return finished or _train(config, data, folder, parts, watcher)


def _train(config: RunConfig, data: DataArrays, folder: Path, parts: _Parts, watcher: Watcher) -> Result:
    made_by = environment(parts.splits["train"].classes.device)  # now: the files may change while it works
    done, seconds = state.load_checkpoint(folder, parts.method, parts.optimizer)
    records.clear_left_overs(folder)
    records.cut_metrics(folder, done)
    records.write_config(folder, config)
    steps = _steps(config)
    executor = SerialExecutor(
        parts.method,
        parts.optimizer,
        parts.splits["train"],
        batch_size=config.batch_size,
        clip=config.clip,
        total_steps=steps * config.epochs,
    )
    watcher.start(config, steps, done)
    last_saved = time.monotonic()
    for epoch in range(done + 1, config.epochs + 1):
        start = time.monotonic()
        outcome = _run_epoch(executor, config, epoch, steps, watcher)
        trained = time.monotonic() - start
        _check_finite(outcome, parts.method, epoch, steps, folder)
        row = _row(config, parts, epoch, outcome, trained)
        seconds += time.monotonic() - start
        records.append(folder / records.METRICS, row)
        if epoch == config.epochs or time.monotonic() - last_saved >= SECONDS_BETWEEN_CHECKPOINTS:
            state.save_checkpoint(folder, epoch=epoch, seconds=seconds, method=parts.method, optimizer=parts.optimizer)
            last_saved = time.monotonic()
        watcher.epoch(row)
    state.save_student(folder, _deployed(parts.method), config, data.class_names)
    result = _result(config, records.read_metrics(folder), seconds, made_by)
    records.write_result(folder, result)
    return result


def _check_folder(folder: Path, config: RunConfig, resume: bool) -> Result | None:
    """The result where this run has finished; an error where it may not be started or go on."""
    found = records.read_config(folder)
    if found is None:
        if not records.is_free(folder):
            raise InputError(f"{str(folder)!r} is not empty and holds no run: choose another folder.")
        return None
    if not can_continue(found, config):
        why = "; ".join(found.differences(config))
        more = " (more epochs continue only a constant schedule)" if found.schedule != "constant" else ""
        raise InputError(
            f"{str(folder)!r} holds a run of another configuration ({why}){more}: choose another folder with --out."
        )
    if not resume:
        raise InputError(f"{str(folder)!r} holds this run already: go on with --resume, or choose another --out.")
    result = records.read_result(folder)
    if result is not None and found != config and not (folder / records.CHECKPOINT).exists():
        raise InputError(f"{str(folder)!r} has no checkpoint to go on from: choose another folder with --out.")
    return result if found == config else None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a run folder; a process that ends, however it ends, lets go of it."""
    with records.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / records.LOCK)
        try:
            lock.acquire(timeout=SECONDS_TO_WAIT_FOR_A_LOCK)
        except Timeout as error:
            raise RunError(
                f"Another process is training in {str(folder)!r}: wait for it, or choose another folder with --out."
            ) from error
    try:
        yield
    finally:
        lock.release()


def _build(config: RunConfig, data: DataArrays, device: torch.device) -> _Parts:
    """The method with its deployed network, equal for every method of one seed, on the device."""
    torch.manual_seed(torch_seed(seed=config.seed, stage=STAGE, stream="init", epoch=0))
    network = build_model(
        config.model,
        num_classes=data.num_classes,
        input_shape=data.input_shape,
        normalise=build_normalise(config.scaling, data),
    )
    method = build_method(
        config.method, config.settings, network, num_classes=data.num_classes, num_samples=len(data.train)
    )
    method = method.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload] - missing in the stubs
    splits = {"train": data.train, "test": data.test} | ({"validation": data.validation} if data.validation else {})
    on_device = {name: _to_device(split, device) for name, split in splits.items()}
    return _Parts(method, build_optimizer(config, method), on_device)


def build_normalise(scaling: str, data: DataArrays) -> Normalise:
    """The first layer of a network: how [0, 1] is scaled."""
    channels = data.input_shape[0]
    fixed = {"half": ([0.5] * channels, [0.5] * channels), "unit": ([0.0] * channels, [1.0] * channels)}
    return Normalise(*(data.statistics() if scaling == "statistics" else fixed[scaling]))


def _to_device(split: Split, device: torch.device) -> DeviceSplit:
    return DeviceSplit(torch.from_numpy(split.images).to(device), torch.from_numpy(split.classes).to(device))


def _steps(config: RunConfig) -> int:
    full, rest = divmod(config.data["train"], config.batch_size)
    return full + (rest > 1)


def _run_epoch(executor: SerialExecutor, config: RunConfig, epoch: int, steps: int, watcher: Watcher) -> EpochOutcome:
    # A network's own random numbers (dropout) are the same whether or not the run was resumed.
    torch.manual_seed(torch_seed(seed=config.seed, stage=STAGE, stream="noise", epoch=epoch))
    order = permutation(config.data["train"], seed=config.seed, stage=STAGE, stream="order", epoch=epoch)
    on_step: Callable[[int], None] = lambda step: watcher.step(epoch, step)  # noqa: E731 - one line, one use
    return executor.run_epoch(order, rate=learning_rate(config, epoch), first_step=(epoch - 1) * steps, on_step=on_step)


def _check_finite(outcome: EpochOutcome, method: nn.Module, epoch: int, steps: int, folder: Path) -> None:
    step = outcome.first_bad_step
    if step is None and not all(bool(torch.isfinite(parameter).all()) for parameter in method.parameters()):
        step = steps - 1
    if step is not None:
        kept = f"; the last good checkpoint is in {str(folder)!r}" if (folder / records.CHECKPOINT).exists() else ""
        raise RunError(
            f"The loss is not finite at step {step + 1} of epoch {epoch}: take a smaller learning rate or --clip, with "
            f"another --out{kept}."
        )


def _row(config: RunConfig, parts: _Parts, epoch: int, outcome: EpochOutcome, seconds: float) -> dict[str, Any]:
    network = _deployed(parts.method)
    row: dict[str, Any] = {
        "epoch": epoch,
        "learning_rate": learning_rate(config, epoch),
        "seconds": round(seconds, 3),
        "images_per_second": round(config.data["train"] / seconds, 1),
        "train": outcome.parts,
        "test": evaluate(network, parts.splits["test"]),
    }
    if "validation" in parts.splits:
        row["validation"] = evaluate(network, parts.splits["validation"])
    return row


def _deployed(method: Method) -> nn.Module:
    return next(iter(method.predictors().values()))


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
