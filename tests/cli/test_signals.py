"""Signals that stop a command, as a terminal, a scheduler and an impatient user send them."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from osakd.engine.state import read_checkpoints
from osakd.records import read_metrics, read_result
from tests.cli.started import started

SLOW_SAVE = """
import time
from osakd.cli.main import run
from osakd.engine import state
write = state.write_atomic
def slow(path, content, **options):
    open(str(path) + ".begun", "w").close()
    time.sleep(1)
    write(path, content, **options)
state.write_atomic = slow
run()
"""
"""The command line with checkpoints that take a second, which leave a file when they begin."""


def until(happened: object) -> None:
    for _ in range(900):
        if happened():  # type: ignore[operator]
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def saved(run: Path) -> int:
    return read_checkpoints(run, torch.device("cpu"))[0]["epoch"]


def train(run: Path) -> list[str]:
    return ["train", "--epochs", "30000", "--evaluate-every", "10", "--out", str(run)]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_saves_as_ctrl_c_does(tmp_path: Path, name: str) -> None:
    argv, run = train(tmp_path / "run"), tmp_path / "run"
    with started("osakd", *argv) as process:
        until(lambda: len(read_metrics(run)) >= 3)
        os.kill(process.pid, getattr(signal, name))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert errors.strip() == f"osakd: stopped. Continue with: osakd {' '.join(argv)} --resume"
    assert saved(run) >= 3
    assert read_result(run) is None


@pytest.mark.parametrize("times", [2, 3])
def test_a_second_signal_lets_the_save_end_and_a_third_does_not(tmp_path: Path, times: int) -> None:
    program, run = tmp_path / "slow.py", tmp_path / "run"
    program.write_text(SLOW_SAVE)
    with started(str(program), *train(run), module=False) as process:
        until(lambda: len(read_metrics(run)) >= 3)
        os.kill(process.pid, signal.SIGINT)
        until((run / "checkpoint.pt.begun").exists)
        for _ in range(times - 1):
            os.kill(process.pid, signal.SIGTERM)
            time.sleep(0.1)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130  # of the first
    assert ("osakd: stopped. Continue with" in errors) == (times == 2)
    assert (run / "checkpoint.pt").exists() == (times == 2)


def test_a_signal_to_every_process_of_a_pool_saves_all_runs(tmp_path: Path) -> None:
    argv = ["compare", "--methods", "plain", "dml", "--seeds", "1", "--epochs", "30000", "--evaluate-every", "10"]
    argv += ["--executor", "serial", "--processes", "2", "--out", str(tmp_path)]
    runs = [tmp_path / "plain-seed0", tmp_path / "dml-seed0"]
    with started("osakd", *argv) as process:
        until(lambda: all(len(read_metrics(run)) >= 3 for run in runs))
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.strip() == f"osakd: stopped. Continue with: osakd {' '.join(argv)}"
    assert all(saved(run) >= 3 for run in runs)


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with started("osakd", *train(run), ignored=signal.SIGHUP) as process:
        until(lambda: len(read_metrics(run)) >= 3)
        os.kill(process.pid, signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
