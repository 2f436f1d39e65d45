"""What a person sees while networks train: bars on a terminal, plain lines elsewhere; and the table at the end."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from osakd.experiments.runner import Progress as RunProgress
from osakd.report.aggregate import Summary
from osakd.report.tables import table_rows, title

REFRESHES_PER_SECOND = 4
SECONDS_BETWEEN_LINES = 10.0


class _Display:
    """A rich progress display where standard output is a terminal."""

    def __init__(self) -> None:
        self.console = Console()
        self.bars: Progress | None = None
        if self.console.is_terminal:
            self.bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[said]}"),
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

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.bars is not None:
            self.bars.stop()

    def line(self, text: str, *, at_once: bool = False) -> None:
        """A plain line, at most one in ten seconds unless it must be said at once."""
        now = time.monotonic()
        if self.bars is None and (at_once or now - self._last_line >= SECONDS_BETWEEN_LINES):
            self._last_line = now
            print(text, flush=True)


class TrainingProgress(_Display):
    """The watcher of one run: its epochs, accuracy and speed."""

    def __init__(self) -> None:
        super().__init__()
        self._task: TaskID | None = None
        self._said = ""
        self._next_look = 0.0

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Moves the bar within an epoch."""
        if self.bars is None:
            return
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + 1 / REFRESHES_PER_SECOND
            if self._task is None:
                self._task = self.bars.add_task("", total=steps, said="")
            self.bars.update(self._task, description=f"epoch {epoch}", completed=step, total=steps, said=self._said)

    def epoch(self, row: dict[str, Any]) -> None:
        """Shows the scores of an epoch."""
        self._said = describe(row)
        self.line(f"epoch {row['epoch']}: {self._said}")


class ComparisonProgress(_Display):
    """The state of every run of a comparison: one bar for all, one for each that works."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: dict[str, TaskID] = {}
        self._finished: set[str] = set()

    def look(self, states: list[RunProgress]) -> None:
        """Shows the state of every run."""
        done = sum(state.done for state in states)
        epochs = sum(state.job.config.epochs if state.done else len(state.rows) for state in states)
        total = sum(state.job.config.epochs for state in states)
        for state in states:
            name = state.job.folder.name
            if state.done and name not in self._finished:
                self._finished.add(name)
                what = state.error or (describe(state.rows[-1]) if state.rows else "")
                self.line(f"[{done}/{len(states)}] {name}: {what}", at_once=True)
            self._show(state, name)
        if self.bars is not None:
            if "" not in self._tasks:
                self._tasks[""] = self.bars.add_task("all runs", total=total, said="")
            self.bars.update(self._tasks[""], completed=epochs, said=f"epochs, {done} of {len(states)} runs done")
        running = [f"{s.job.folder.name} at epoch {len(s.rows)}" for s in states if s.running and s.rows]
        if running:
            self.line(f"[{done}/{len(states)}] {', '.join(running)}")

    def _show(self, state: RunProgress, name: str) -> None:
        if self.bars is None:
            return
        if state.done and name in self._tasks:
            self.bars.remove_task(self._tasks.pop(name))
        elif state.running:
            if name not in self._tasks:
                self._tasks[name] = self.bars.add_task(name, total=state.job.config.epochs, said="")
            said = describe(state.rows[-1]) if state.rows else ""
            self.bars.update(self._tasks[name], completed=len(state.rows), said=said)


def describe(row: dict[str, Any]) -> str:
    """The scores of an epoch in a few words."""
    return f"test {100 * row['test']['accuracy']:.2f} %, {row['images_per_second']:,.0f} images/s"


def print_summary(summary: Summary) -> None:
    """The table of a comparison, with its notes and where the rest is."""
    console = Console()
    head, rows = table_rows(summary)
    table = Table(title=title(summary), title_justify="left", title_style="bold")
    for number, name in enumerate(head):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for note in summary.notes:
        console.print(note, style="yellow" if note.startswith("Warning") else None, highlight=False)
