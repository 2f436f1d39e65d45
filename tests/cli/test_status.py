"""What is seen of runs from another terminal."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

import osakd
from osakd import RunError
from osakd.cli.main import main
from osakd.engine.plan import DataSource, Plan
from osakd.records import read_config, write_error
from osakd.runner.lock import NOTE, lock_runner
from osakd.runner.progress import Progress, TimeLeft
from osakd.runner.status import status_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a teacher, one that stopped, one that failed and one that never began."""
    folder = tmp_path_factory.mktemp("runs")
    osakd.train("digits", method="born-again", epochs=1, out=folder / "born-again-seed0")

    class StopInTheThirdEpoch:
        def on_train_begin(self, *_: object) -> None: ...

        def on_step_begin(self, epoch: int, step: int) -> None:
            if epoch == 3:
                raise KeyboardInterrupt

        def on_epoch_end(self, row: dict[str, object]) -> None: ...

    for seed in (2, 10):
        with pytest.raises(KeyboardInterrupt):
            osakd.train(
                "digits", seed=seed, epochs=4, out=folder / f"plain-seed{seed}", callbacks=[StopInTheThirdEpoch()]
            )
    write_error(folder / "plain-seed10", "The disk is full.")
    write_error(folder / "plain-seed11", "No such folder.")
    return folder


def test_nobody_is_at_work(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(runs)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"{runs}: 2 finished, 1 stopped, 2 failed"
    assert lines[0].startswith("  plain-seed2: stopped, epoch 2/4, test ")
    assert lines[1].startswith("  plain-seed10: failed, epoch 2/4, test ")
    assert lines[1].endswith(": The disk is full.")
    assert lines[2:] == ["  plain-seed11: failed: No such folder."]
    assert main(["status", str(runs.parent), "--all"]) == 0
    printed = capsys.readouterr().out
    assert "  born-again-seed0/teacher: finished, epoch 1/1, test " in printed
    assert main(["status", str(runs / "plain-seed2")]) == 0
    assert capsys.readouterr().out.startswith(f"{runs / 'plain-seed2'}: 1 stopped\n")


def test_a_runner_is_at_work(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = read_config(runs / "plain-seed2")
    jobs = [Plan("plain", runs / f"plain-seed{seed}", config, DataSource("digits")) for seed in (2, 10, 12)]
    states = [
        Progress(jobs[0], [], running=True, done=False, seconds_left=130.0),
        Progress(jobs[1]),
        Progress(jobs[2]),
    ]
    with lock_runner(runs, lambda _: None) as call_and_note:
        call_and_note(states)
        # As another process sees it: the lock belongs to the thread that took it.
        thread = threading.Thread(target=main, args=(["status", str(runs)],))
        thread.start()
        thread.join()
    head, who, *lines = capsys.readouterr().out.splitlines()
    assert head == f"{runs}: 2 finished, 1 running, 2 waiting, 1 failed"
    assert who.startswith("  run by process ")
    assert lines[0].startswith("  plain-seed2: running, epoch 2/4, test ")
    assert lines[0].endswith(", 2 min left")
    assert lines[-1] == "  plain-seed12: waiting"
    assert status_of(runs)[0].runner is None


def test_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path / "none")]) == 2
    assert "does not exist: check the path." in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["status", str(tmp_path / "file")]) == 2
    assert "is a file: name the folder" in capsys.readouterr().err
    assert main(["status", str(tmp_path)]) == 2
    assert "has no runs: name the folder of a comparison or of records." in capsys.readouterr().err


def test_the_time_left_is_estimated_from_this_start(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch in two seconds, two epochs before this start: the first one seen may not be whole."""
    config = read_config(runs / "plain-seed2")
    job = Plan("plain", runs / "plain-seed2", config, DataSource("digits"))
    clock = iter([0.0, 1.0, 2.5, 3.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    time_left = TimeLeft()
    assert [time_left.estimate(job, epochs) for epochs in (1, 1, 2, 3)] == [None, None, None, pytest.approx(0.5)]


def test_the_time_left_shrinks_within_an_epoch(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of a minute, of ten; the one after the third takes longer, and says nothing until it ends."""
    config = read_config(runs / "plain-seed2")
    job = Plan("plain", runs / "plain-seed2", replace(config, epochs=10), DataSource("digits"))
    seen = [(0, 0), (60, 1), (100, 1), (120, 2), (150, 2), (180, 3), (220, 3), (240, 3), (300, 3), (310, 4)]
    monkeypatch.setattr(time, "monotonic", iter([second for second, _ in seen]).__next__)
    time_left = TimeLeft()
    left = [time_left.estimate(job, epochs) for _, epochs in seen]
    assert left == [None, None, None, 480, 450, 420, 380, 360, 360, pytest.approx(500)]


def test_a_damaged_run_hides_no_other(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs/plain-seed2/config.json").write_text("{")
    assert main(["status", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert "2 finished, 1 damaged, 2 failed" in printed
    assert "  plain-seed2: damaged: " in printed


def test_a_note_that_is_incomplete_or_of_another_user(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A note of another kind is none; in somebody else's folder the lock may not be tried."""
    try:
        (runs / NOTE).write_text('{"process": 1}')
        monkeypatch.setattr(FileLock, "acquire", refuse)
        assert status_of(runs)[0].runner is None
        (runs / NOTE).write_text('{"process": 1, "host": "there", "since": "then", "runs": {}}')
        assert main(["status", str(runs)]) == 0
        assert "run by process 1 on there, since then (or it was killed: " in capsys.readouterr().out
    finally:
        (runs / NOTE).unlink()


def refuse(*_: object, **__: object) -> None:
    raise PermissionError


def test_a_note_that_cannot_be_written_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[Progress]] = []
    with lock_runner(tmp_path, calls.append) as call_and_note:
        monkeypatch.setattr("osakd.runner.lock.write_json", full)
        call_and_note([])
    assert calls == [[]]


def full(*_: object) -> None:
    raise RunError("The disk is full.")


def test_a_link_to_a_folder_above_is_followed_once(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs/again").symlink_to(tmp_path)
    assert main(["status", str(tmp_path), "--all"]) == 0
