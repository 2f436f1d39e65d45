"""What the tests of training share: a way to stop a run, and what two runs are compared by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import osakd
from osakd.engine.callbacks import Callback
from osakd.records import RunConfig, read_metrics

MEMORY = {"name": "osakd", "k": 5, "pool": "memory"}
QUEUE = {"name": "osakd", "k": 5, "pool": "queue", "queue_size": 150}


class StopAt(Callback):
    """Stops a run as Ctrl-C does, before a step of a stage."""

    def __init__(self, epoch: int, step: int = 0, *, stage: int = 0) -> None:
        self.where, self.stage = (stage, epoch, step), -1

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        self.stage = config.stage

    def on_step_begin(self, epoch: int, step: int) -> None:
        if (self.stage, epoch, step) == self.where:
            raise KeyboardInterrupt


def digits_run(folder: Path, model: str = "lenet-digits") -> osakd.Run:
    """A network that has seen the digits once, which is enough to tell most of them."""
    return osakd.train("digits", model=model, epochs=1, batch_size=16, learning_rate=0.05, out=folder / "run")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["method"]


def same_weights(first: Path, second: Path) -> bool:
    ours, theirs = weights(first), weights(second)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def curve(folder: Path) -> list[dict[str, Any]]:
    timing = ("seconds", "images_per_second")
    return [{key: value for key, value in row.items() if key not in timing} for row in read_metrics(folder)]
