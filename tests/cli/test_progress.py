"""What is printed while networks train: bars on a terminal, plain lines elsewhere."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import osakd
from osakd.cli import progress
from osakd.cli.main import main
from osakd.data.sources import load_data
from osakd.engine.config import Options, configure
from osakd.engine.plan import DataSource, Plan
from osakd.runner.progress import Progress
from tests.report.made import panel_of, read


def row(epoch: int, accuracy: float = 0.5) -> dict[str, Any]:
    return {"epoch": epoch, "test": {"accuracy": accuracy}, "images_per_second": 1234.5}


def jobs(tmp_path: Path) -> list[Plan]:
    config = configure(load_data("digits"), "plain", 0, Options(deploy="last", epochs=4))
    return [Plan("plain", tmp_path / f"plain-seed{seed}", config, DataSource("digits")) for seed in range(3)]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard output as a terminal of 100 columns."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    return stream


def test_plain_lines_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.TrainingProgress() as callback:
        callback.on_train_begin(jobs(tmp_path)[0].config, 10, 1, ["Executor: serial, a single run on the CPU."])
        callback.on_step_begin(2, 0)
        callback.on_epoch_end(row(2))
        callback.on_epoch_end(row(3))  # within ten seconds of the last line
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "digits (600 images), lenet-digits, plain, seed 0, 4 epochs, from epoch 2"
    assert lines[1] == "Executor: serial, a single run on the CPU."
    assert lines[2:] == ["epoch 2: test 50.00 %, 1,234 images/s"]


def test_bar_of_a_run(tmp_path: Path, terminal: io.StringIO) -> None:
    with progress.TrainingProgress() as callback:
        callback.on_train_begin(jobs(tmp_path)[0].config, 10, 0, [])
        callback.on_epoch_end(row(1))
        callback.on_step_begin(2, 5)
        (task,) = callback.bars.tasks
        assert (task.completed, task.total, task.description) == (15, 40, "epoch 2/4")
        callback.on_step_begin(2, 6)  # within a quarter of a second
        assert task.completed == 15
    assert "test 50.00 %, 1,234 images/s" in terminal.getvalue()


def states(tmp_path: Path) -> list[Progress]:
    first, second, third = jobs(tmp_path)
    failed = osakd.RunError("The disk is full.")
    return [
        Progress(first, [row(4)], running=False, done=True),
        Progress(second, [row(1), row(2)], running=True, done=False),
        Progress(third, [], running=False, done=True, error=failed),
    ]


def test_plain_lines_of_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = states(tmp_path)
    with progress.ComparisonProgress() as display:
        display.on_progress(found[:1])
        display.on_progress(found)
        display.on_progress(found)
    assert capsys.readouterr().out.splitlines() == [
        "Finished before: 1 run.",
        "[2/3] plain-seed2: The disk is full.",
    ]


def test_bars_of_a_comparison(tmp_path: Path, terminal: io.StringIO) -> None:
    found = states(tmp_path)
    with progress.ComparisonProgress() as display:
        display.on_progress([])
        display.on_progress([Progress(found[0].plan, [row(1)], running=True, done=False), *found[1:]])
        display.on_progress(found)
        shown = {task.description: (task.completed, task.total) for task in display.bars.tasks}
    # The finished run's bar has gone.
    assert shown == {"plain-seed1": (2, 4), "all runs": (10, 12)}
    assert "2 of 3 runs done" in terminal.getvalue()
    assert "epoch 2/4, test 50.00 %, 1,234 images/s" in terminal.getvalue()


def test_a_narrow_terminal_gets_several_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=72, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    osakd.train("digits", epochs=1, out=tmp_path / "plain-seed0")
    progress.print_comparison(panel_of([read(tmp_path / "plain-seed0")]))
    printed = "\n" + terminal.getvalue()
    assert max(len(line) for line in printed.splitlines()) <= 72
    assert printed.count("\nmethod ") == 2
    assert printed.index("accuracy %") < printed.index("step ms")
    assert "…" not in printed


def test_compare_prints_the_table_the_notes_and_where_the_rest_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "compare --methods plain osakd --seeds 1 --epochs 1 --processes 1 --out"
    assert main([*words.split(), str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for words in (
        "digits (540 + 1,197 images, 8x8x1, content daa58e55), lenet-digits, 1 epoch\n",
        "osakd",
        "Note: in-batch soft labels with k = 8, the sample itself among them, and pseudo-count 0.25 can give the true",
        f"Every value is in {tmp_path}/summary.json; open {tmp_path}/report.html in a browser.\n",
        f"Tables and figures for a paper: osakd report {tmp_path}\n",
    ):
        assert words in printed


def test_runs_of_a_second_plan_are_counted_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a study whose best cells get another seed: what the display has seen before is not of the new plan."""
    first, second, third = jobs(tmp_path)
    with progress.ComparisonProgress() as display:
        for plan in ([first, second], [third]):
            display.on_progress([])
            display.on_progress([Progress(job, [row(4)], running=False, done=True) for job in plan])
    lines = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["[1/2] plain-seed0", "[2/2] plain-seed1", "[1/1] plain-seed2"]
