"""What is called while a run is trained: progress bars, logs, and what the user wants to see."""

from collections.abc import Sequence
from typing import Any

from osakd.records import RunConfig


class Callback:
    """Is called while a run is trained; each method does nothing until it is overridden, and may raise to stop the run.

    The networks of a method's earlier stages (a teacher) are trained first, with calls of their own.

    Example:
        >>> import tempfile
        >>> class Best(Callback):
        ...     def on_train_begin(self, config, steps, done, notes):
        ...         self.accuracy = 0.0
        ...
        ...     def on_epoch_end(self, row):
        ...         self.accuracy = max(self.accuracy, row["test"]["accuracy"])
        >>> import osakd
        >>> best = Best()
        >>> run = osakd.train("digits", epochs=2, out=tempfile.mkdtemp(), callbacks=[best])
        >>> best.accuracy == run.result.best_on_test["accuracy"]
        True
    """

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        """Called before the first step.

        Args:
            config: the run's configuration.
            steps: number of steps in an epoch.
            done: number of epochs that were trained before; above 0 for a resumed run.
            notes: sentences for the person who started the run.
        """

    def on_step_begin(self, epoch: int, step: int) -> None:
        """Called before each step; epochs count from 1, the steps of an epoch from 0."""

    def on_epoch_end(self, row: dict[str, Any]) -> None:
        """Called after each epoch with its row of the learning curve, as it was written to ``metrics.jsonl``."""


class Callbacks(Callback):
    """Several callbacks, called in order."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = list(callbacks)

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        """Calls each."""
        for callback in self.callbacks:
            callback.on_train_begin(config, steps, done, notes)

    def on_step_begin(self, epoch: int, step: int) -> None:
        """Calls each."""
        for callback in self.callbacks:
            callback.on_step_begin(epoch, step)

    def on_epoch_end(self, row: dict[str, Any]) -> None:
        """Calls each."""
        for callback in self.callbacks:
            callback.on_epoch_end(row)
