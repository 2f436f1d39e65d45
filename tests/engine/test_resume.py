"""Exact resume: a run that was stopped or killed goes on bit for bit, and its folder is never taken for another's."""

import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import osakd
from osakd import InputError, RunError
from osakd.engine import folders, loop, state
from osakd.records import read_metrics, read_result
from tests.engine.runs import MEMORY, QUEUE, StopAt, curve, same_weights, weights

KILLED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
import osakd
from osakd.engine import loop, train
loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0

class Kill:
    def on_train_begin(self, config, steps, done, notes): pass
    def on_step_begin(self, epoch, step):
        if (epoch, step) == (4, 5):
            os.kill(os.getpid(), signal.SIGKILL)
    def on_epoch_end(self, row): pass

osakd.train("digits", method=%r, epochs=6, out=sys.argv[1], callbacks=[Kill()])
"""


@pytest.mark.parametrize(("method", "kept"), [(MEMORY, "memory"), (QUEUE, "queue")], ids=str)
def test_killed_in_the_middle_of_an_epoch_it_goes_on_bit_for_bit(
    method: dict[str, Any], kept: str, tmp_path: Path
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED % method, str(tmp_path / "killed")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(read_metrics(tmp_path / "killed")) == 3
    assert read_result(tmp_path / "killed") is None
    with (tmp_path / "killed/metrics.jsonl").open("a") as stream:
        stream.write('{"epoch": 4, "trai')  # and the last line was torn
    osakd.train("digits", method=method, epochs=6, out=tmp_path / "killed", resume=True)
    osakd.train("digits", method=method, epochs=6, out=tmp_path / "whole")
    assert weights(tmp_path / "killed")[f"criterion.{kept}.valid"][:150].all()
    assert same_weights(tmp_path / "killed", tmp_path / "whole")
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    assert (tmp_path / "killed/student.safetensors").read_bytes() == (
        tmp_path / "whole/student.safetensors"
    ).read_bytes()


@pytest.mark.usefixtures("checkpoint_every_epoch")
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adamw", "learning_rate": 0.01, "schedule": "cosine"},
        {"schedule": "step", "nesterov": True, "weight_decay": 1e-3, "max_grad_norm": 1.0, "validation": 0.2},
        {"recipe": "photos", "model": "lenet-digits", "warmup_epochs": 2, "augment": ("erasing",), "mixup": 0.2},
    ],
)
@pytest.mark.usefixtures("torchvision")
def test_stopped_it_goes_on_bit_for_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", epochs=4, out=tmp_path / "a", callbacks=[StopAt(3, 2)], **options)
    assert len(read_metrics(tmp_path / "a")) == 2
    osakd.train("digits", epochs=4, out=tmp_path / "a", resume=True, **options)
    osakd.train("digits", epochs=4, out=tmp_path / "b", **options)
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert curve(tmp_path / "a") == curve(tmp_path / "b")


def test_rows_after_the_checkpoint_are_cut_on_resume(tmp_path: Path) -> None:
    # As if it had been killed before its first checkpoint: it starts again from its first epoch, and so does its curve.
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", epochs=4, out=tmp_path / "a", callbacks=[StopAt(3, 0)])
    (tmp_path / "a/checkpoint.pt").unlink()
    osakd.train("digits", epochs=4, out=tmp_path / "a", resume=True)
    assert [row["epoch"] for row in read_metrics(tmp_path / "a")] == [1, 2, 3, 4]


def test_a_run_with_its_first_checkpoint_can_also_start_again(tmp_path: Path) -> None:
    """Of runs that are trained together, one may have been killed before its first checkpoint."""
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", epochs=2, out=tmp_path, callbacks=[StopAt(2, 0)])
    assert [checkpoint["epoch"] for checkpoint in state.read_checkpoints(tmp_path, torch.device("cpu"))] == [1, 0]
    osakd.train("digits", epochs=2, out=tmp_path, resume=True)
    assert [checkpoint["epoch"] for checkpoint in state.read_checkpoints(tmp_path, torch.device("cpu"))] == [2]


@pytest.mark.parametrize("method", ["plain", MEMORY, "codistillation"])
def test_a_clean_stop_writes_the_last_epoch(tmp_path: Path, method: Any) -> None:
    """However soon after the start: what the curve shows is what the run continues from."""
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", method=method, epochs=4, out=tmp_path / "a", callbacks=[StopAt(4, 3)])
    assert len(read_metrics(tmp_path / "a")) == 3
    assert torch.load(tmp_path / "a/checkpoint.pt", weights_only=True)["epoch"] == 3
    osakd.train("digits", method=method, epochs=4, out=tmp_path / "a", resume=True)
    osakd.train("digits", method=method, epochs=4, out=tmp_path / "b")
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert curve(tmp_path / "a") == curve(tmp_path / "b")


def test_a_full_disk_does_not_hide_why_a_run_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RunError("The disk is full")

    monkeypatch.setattr(state, "save_checkpoint", full)
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", epochs=4, out=tmp_path / "a", callbacks=[StopAt(2, 0)])


def test_checkpoints_are_at_most_every_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    save = state.save_checkpoint

    def count(folder: Path, what: dict[str, Any], **how: Any) -> None:
        saved.append(what["epoch"])
        save(folder, what, **how)

    monkeypatch.setattr(state, "save_checkpoint", count)
    osakd.train("digits", epochs=3, out=tmp_path / "a")
    assert saved == [3]
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    osakd.train("digits", epochs=3, out=tmp_path / "b")
    assert saved == [3, 1, 2, 3]


def test_more_epochs_continue_a_constant_schedule(tmp_path: Path) -> None:
    osakd.train("digits", epochs=2, out=tmp_path / "a")
    run = osakd.train("digits", epochs=4, out=tmp_path / "a", resume=True)
    osakd.train("digits", epochs=4, out=tmp_path / "b")
    assert run.result.epochs == 4
    assert same_weights(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("epochs", "options", "message"),
    [
        (1, {}, "epochs: 2, not 1"),
        (3, {"schedule": "cosine"}, "epochs: 2, not 3.*more epochs continue only a constant schedule"),
        (3, {"method": {"name": "kd-additive", "teacher": "lenet-digits"}}, "epochs: 2, not 3"),
        (5, {"evaluate_every": 3}, "epochs: 2, not 5"),  # its second epoch would be evaluated out of turn
    ],
)
def test_other_numbers_of_epochs_are_refused(tmp_path: Path, epochs: int, options: Any, message: str) -> None:
    osakd.train("digits", epochs=2, out=tmp_path, **options)
    with pytest.raises(InputError, match=message):
        osakd.train("digits", epochs=epochs, out=tmp_path, resume=True, **options)


def test_another_configuration_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    osakd.train("digits", epochs=1, out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r"has a run of another configuration \(seed: 0, not 1\): choose another"):
        osakd.train("digits", epochs=1, seed=1, out=tmp_path, resume=True)
    with pytest.raises(InputError, match="already has this run: continue it with --resume"):
        osakd.train("digits", epochs=1, out=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not empty and is not a run folder"):
        osakd.train("digits", epochs=1, out=tmp_path)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = osakd.train("digits", epochs=1, out=tmp_path)
    assert osakd.train("digits", epochs=1, out=tmp_path, resume=True, callbacks=[StopAt(1, 0)]).result == first.result


def test_a_finished_run_that_cannot_be_continued_stays_what_it_is(tmp_path: Path) -> None:
    osakd.train("digits", epochs=1, out=tmp_path)
    (tmp_path / "checkpoint.pt").rename(tmp_path / "checkpoint.old")
    with pytest.raises(InputError, match="has no checkpoint to continue from"):
        osakd.train("digits", epochs=2, out=tmp_path, resume=True)
    (tmp_path / "checkpoint.pt").write_bytes((tmp_path / "checkpoint.old").read_bytes()[:-500])
    with pytest.raises(RunError, match="is damaged"):
        osakd.train("digits", epochs=2, out=tmp_path, resume=True)
    assert osakd.train("digits", epochs=1, out=tmp_path, resume=True).result.epochs == 1
    osakd.load(tmp_path)


def test_a_run_that_is_being_continued_is_not_finished(tmp_path: Path) -> None:
    osakd.train("digits", epochs=1, out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", epochs=3, out=tmp_path, resume=True, callbacks=[StopAt(2, 0)])
    assert read_result(tmp_path) is None
    with pytest.raises(InputError, match="has not finished"):
        osakd.load(tmp_path)


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_missing_rows_of_the_curve_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", epochs=4, out=tmp_path, callbacks=[StopAt(4, 0)])
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_text(lines[0] + lines[2])
    with pytest.raises(RunError, match="3 epochs are done, but its rows are not 1 to 3"):
        osakd.train("digits", epochs=4, out=tmp_path, resume=True)


def test_a_start_that_was_killed_does_not_block_its_folder(tmp_path: Path) -> None:
    for name in (".config.json.x1.tmp", ".lock"):
        (tmp_path / name).write_text("{")
    osakd.train("digits", epochs=1, out=tmp_path)
    assert not list(tmp_path.glob("*.tmp"))


def test_two_processes_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "SECONDS_TO_WAIT_FOR_A_LOCK", 0.05)

    class Intruder(loop.Callback):
        def on_step_begin(self, epoch: int, step: int) -> None:
            if (epoch, step) == (2, 0):
                with pytest.raises(RunError, match="Another process is training in"):
                    osakd.train("digits", epochs=3, out=tmp_path, resume=True)

    osakd.train("digits", epochs=3, out=tmp_path, callbacks=[Intruder()])
    assert [row["epoch"] for row in read_metrics(tmp_path)] == [1, 2, 3]


def test_without_flock_a_file_is_the_lock_and_nothing_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", missing)
    refused = pytest.raises(RunError, match="it is in use")
    with folders.lock_run(tmp_path), refused, folders.lock_folder(tmp_path, 0.1, lambda: "it is in use"):
        pass
    with folders.lock_run(tmp_path):
        pass
