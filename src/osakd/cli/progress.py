"""What is shown while networks train: progress bars on a terminal, plain lines elsewhere; and the table at the end."""

import time
from collections.abc import Sequence
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from osakd.cli.terminal import say
from osakd.engine.callbacks import Callback
from osakd.errors import NotFusedError, printable
from osakd.records import RunConfig
from osakd.report.statistics.findings import remarks
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.tables.results import comparison_table
from osakd.report.tables.table import Table, console_tables
from osakd.runner.progress import Progress as RunProgress

REFRESHES_PER_SECOND = 4
SECONDS_BETWEEN_LINES = 10.0
WIDTH_OF_PLAIN_OUTPUT = 160


class _Display:
    """A rich progress display if standard output is a terminal."""

    def __init__(self) -> None:
        self.console = Console(markup=False, emoji=False)
        self.bars: Progress | None = None
        if self.console.is_terminal:
            self.bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[text]}", markup=False),
                TimeRemainingColumn(compact=True),
                console=self.console,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
            )
        self._last_line = 0.0

    def __enter__(self) -> Self:
        if self.bars is not None:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def line(self, text: str, *, at_once: bool = False) -> None:
        """Prints a plain line, at most one in ten seconds unless ``at_once``."""
        now = time.monotonic()
        if self.bars is None and (at_once or now - self._last_line >= SECONDS_BETWEEN_LINES):
            self._last_line = now
            say(text)


class TrainingProgress(_Display, Callback):
    """The callback that shows one run: its epochs, accuracy and speed."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: set[str] = set()
        self._task: TaskID | None = None
        self._epochs = self._steps = 0
        self._scores = ""
        self._next_refresh = 0.0

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        """Shows what is trained."""
        from_epoch = f", from epoch {done + 1}" if done else ""
        stage = f", teacher ({config.stage} before the last stage)" if config.stage else ""
        say(
            f"{config.data['name']} ({config.data['train']:,} images), {config.model}, {config.method}, "
            f"seed {config.seed}, {_counted(config.epochs, 'epoch')}{stage}{from_epoch}"
        )
        for note in notes:
            if note not in self.notes:  # an earlier stage has the same data
                self.notes.add(note)
                say(note)
        self._epochs, self._steps = config.epochs, steps
        if self.bars is not None:
            if self._task is not None:  # of an earlier stage
                self.bars.remove_task(self._task)
            self._task = self.bars.add_task("", total=config.epochs * steps, completed=done * steps, text="")

    def on_step_begin(self, epoch: int, step: int) -> None:
        """Moves the bar."""
        now = time.monotonic()
        if self.bars is not None and self._task is not None and now >= self._next_refresh:
            self._next_refresh = now + 1 / REFRESHES_PER_SECOND
            done = (epoch - 1) * self._steps + step
            self.bars.update(self._task, description=f"epoch {epoch}/{self._epochs}", completed=done, text=self._scores)

    def on_epoch_end(self, row: dict[str, Any]) -> None:
        """Shows the scores of an epoch."""
        self._scores = describe(row)
        self.line(f"epoch {row['epoch']}: {self._scores}")


class ComparisonProgress(_Display):
    """Shows the progress of a comparison: one bar for all runs, and one for each run in training."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: dict[str, TaskID] = {}
        self._finished: set[str] | None = None
        self._shown: set[str] = set()

    def on_progress(self, states: list[RunProgress]) -> None:
        """Shows the progress of every run; those of the first call finished before."""
        if self._finished is None:
            self._finished = {state.plan.name for state in states}
            if states:
                say(f"Finished before: {_counted(len(states), 'run')}.")
            return
        for note in dict.fromkeys(note for state in states for note in state.notes):
            # Each single run measures and notes the same: show the note of the first.
            kind = note.partition(":")[0] if note.startswith("Executor") else note.partition(" is predicted")[0]
            if kind not in self._shown:
                self._shown.add(kind)
                say(note)
        for reason in {str(state.error) for state in states if isinstance(state.error, NotFusedError)} - self._shown:
            self._shown.add(reason)
            say(f"The runs do not share a program: {reason}")
        ended = [state for state in states if state.done and not isinstance(state.error, NotFusedError)]
        for state in ended:
            if state.plan.name not in self._finished:
                self._finished.add(state.plan.name)
                what = str(state.error or describe(state.rows[-1]))
                told = sum(other.plan.name in self._finished for other in ended)
                self.line(f"[{told}/{len(states)}] {state.plan.name}: {what}", at_once=True)
        for state in states:
            self._show(state, state.plan.name)
        running = [f"{_name(s)} at epoch {len(s.rows)}{_left(s)}" for s in states if s.running and s.rows]
        if running:
            self.line(f"[{len(ended)}/{len(states)}] {', '.join(running)}")
        if self.bars is not None:
            epochs = sum(s.plan.config.epochs if s.done else s.replicas * len(s.rows) for s in states)
            total = sum(state.plan.config.epochs for state in states)
            if "" not in self._tasks:
                self._tasks[""] = self.bars.add_task("all runs", total=total, text="")
            text = f"{len(ended)} of {len(states)} runs done"
            self.bars.update(self._tasks[""], completed=epochs, text=text)

    def _show(self, state: RunProgress, name: str) -> None:
        if self.bars is None:
            return
        if state.done and name in self._tasks:
            self.bars.remove_task(self._tasks.pop(name))
        elif state.running and state.replicas:
            if name not in self._tasks:
                self._tasks[name] = self.bars.add_task(_name(state), total=state.plan.config.epochs, text="")
            text = f"epoch {len(state.rows)}/{state.plan.config.epochs}"
            text += f", {describe(state.rows[-1])}" if state.rows else ""
            self.bars.update(self._tasks[name], completed=len(state.rows), text=text)


def _counted(number: int, noun: str) -> str:
    """A number and its noun: ``1 run``, ``2 runs``."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _name(state: RunProgress) -> str:
    """The run's name, and how many other runs share its program."""
    return printable(state.plan.name) + (f" and {state.replicas - 1} more" if state.replicas > 1 else "")


def _left(state: RunProgress) -> str:
    return "" if state.seconds_left is None else f", {duration(state.seconds_left)} left"


def duration(seconds: float) -> str:
    """A time in few words.

    Example:
        >>> duration(4), duration(65), duration(7500), duration(200_000)
        ('4 s', '1 min', '2 h 05 min', '2 d 7 h')
    """
    minutes = int(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def describe(row: dict[str, Any]) -> str:
    """The scores of an epoch in a few words."""
    scored = f"test {100 * row['test']['accuracy']:.2f} %, " if "test" in row else ""
    return f"{scored}{row['images_per_second']:,.0f} images/s"


def print_table(table: Table[Any]) -> None:
    """Prints the rows of a table; a narrow terminal gets several tables below each other."""
    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, emoji=False, width=WIDTH_OF_PLAIN_OUTPUT)
    for shown in console_tables(table, console.width):
        console.print(shown, highlight=False)
        console.print()


def print_comparison(panel: RecordedPanel) -> None:
    """Prints the table of a comparison and its notes."""
    say(panel.title)
    print_table(comparison_table(panel))
    for executor in dict.fromkeys(run.result.environment["executor"] for run in panel.finished):
        say(f"Executor: {executor}.")
    for note in [*panel.notes, *remarks(panel)]:
        say(note)
