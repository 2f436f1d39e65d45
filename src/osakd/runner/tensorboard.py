# pyright: reportMissingImports=false
"""Learning curves for TensorBoard, written by tensorboardX from the same rows as ``metrics.jsonl``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from osakd.engine.callbacks import Callback
from osakd.errors import needing
from osakd.records import TEACHER, RunConfig, read_metrics
from osakd.runner.progress import Progress


class TensorBoard(Callback):
    """Writes an event file into the folder of each run, as its curve grows; the step of a value is its epoch.

    An event file is made anew from the whole curve when a run starts or continues: it has no epoch twice. With a folder
    this is the callback of the run there. An InputError says that tensorboardX is not installed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        with needing("tensorboard"):
            from tensorboardX import SummaryWriter
        self._new_writer, self._folder = SummaryWriter, folder
        self._stage: Path | None = folder
        self._open: dict[Path, tuple[Any, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for writer, _ in self._open.values():
            if writer is not None:
                writer.close()

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:  # noqa: ARG002 - the callback's interface
        """Writes the epochs that were trained before."""
        if self._folder is not None:
            self._stage = self._folder.joinpath(*[TEACHER] * config.stage)
            self.write(self._stage, read_metrics(self._stage))

    def on_epoch_end(self, row: dict[str, Any]) -> None:  # noqa: ARG002 - it is in the records
        """Writes an epoch."""
        if self._stage is not None:
            self.write(self._stage, read_metrics(self._stage))

    def on_progress(self, states: Sequence[Progress]) -> None:
        """Writes what is new of many runs; the ``on_progress`` of a comparison."""
        for state in states:
            self.write(state.plan.folder, state.rows)
            writer, written = self._open.get(state.plan.folder, (None, 0))
            if state.done and writer is not None:  # it has a thread and an open file
                writer.close()
                self._open[state.plan.folder] = None, written

    def write(self, folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes the rows of a run's curve that are not written yet; all of them where the curve has become shorter."""
        writer, written = self._open.get(folder, (None, 0))
        if len(rows) in (0, written):
            return
        if writer is None or len(rows) < written:
            if writer is not None:
                writer.close()
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
            writer, written = self._new_writer(str(folder)), 0
        for row in rows[written:]:
            for tag, value in scalars(row):
                writer.add_scalar(tag, value, row["epoch"])
        writer.flush()
        self._open[folder] = writer, len(rows)


def scalars(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a row by name, those inside others with a slash.

    Example:
        >>> list(scalars({"epoch": 2, "learning_rate": 0.1, "test": {"nll": 0.5}}))
        [('learning_rate', 0.1), ('test/nll', 0.5)]
    """
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{before}{name}/")
        elif name != "epoch" and isinstance(value, int | float):
            yield before + name, float(value)
