"""``torchrun -m osakd``: what only processes of their own can show, started, stopped and killed."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from osakd.cli import several
from osakd.cli.main import main
from osakd.engine import launch
from osakd.records import read_metrics
from tests.cli.started import started

SECONDS = 120


def trained(out: Path, *argv: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Two processes that train."""
    two = ("--standalone", "--nproc-per-node", "2", "-m", "osakd")
    command = (*two, "train", "--epochs", "3000", "--out", str(out), *argv)
    return started("torch.distributed.run", *command, stdout=subprocess.PIPE)


def wait_for_epoch(out: Path, epoch: int) -> None:
    until = time.monotonic() + SECONDS
    while len(read_metrics(out)) < epoch:
        assert time.monotonic() < until
        time.sleep(0.1)


def workers(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun started, in rank order."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    by_rank = {}
    for child in children:
        variables = Path(f"/proc/{child}/environ").read_text().split("\0")
        by_rank |= {one.removeprefix("RANK="): int(child) for one in variables if one.startswith("RANK=")}
    return [by_rank[rank] for rank in sorted(by_rank)]


def sentences(text: str) -> list[str]:
    """What osakd says, without what torchrun does."""
    return [line for line in text.splitlines() if line.startswith("osakd: ")]


@pytest.mark.compiler
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_ctrl_c_and_a_process_that_dies(tmp_path: Path) -> None:
    """Each is one sentence and loses no epoch; one process shows what it does."""
    with trained(tmp_path / "run") as process:
        wait_for_epoch(tmp_path / "run", 3)
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=SECONDS)
    again = f"torchrun --nproc-per-node 2 -m osakd train --epochs 3000 --out {tmp_path / 'run'} --resume"
    assert sentences(errors) == [f"osakd: stopped. Continue with: {again}"]
    assert shown.count("digits (600 images)") == shown.count("serial/ranks-native (2 processes)") == 1
    done = len(read_metrics(tmp_path / "run"))
    with trained(tmp_path / "run", "--resume") as process:
        wait_for_epoch(tmp_path / "run", done + 1)
        os.kill(workers(process)[1], signal.SIGKILL)
        shown, errors = process.communicate(timeout=SECONDS)
    (sentence,) = sentences(errors)
    assert (
        sentence.endswith("see what it said, then give the same command with --resume.") or "The launcher" in sentence
    )
    assert f"from epoch {done + 1}" in shown


@pytest.fixture
def beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun starts the second of two processes, where its store is out of reach."""
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 9}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(several, "SECONDS_TO_ASK", 1)


@pytest.mark.usefixtures("beside_another")
@pytest.mark.parametrize("command", ["compare", "reproduce", "report"])
def test_other_commands_are_one_process(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "0")
    assert main([command]) == 2
    sentence = f"osakd: osakd {command} is one process, but 2 were started: start it without torchrun.\n"
    assert capsys.readouterr().err == sentence


@pytest.mark.usefixtures("beside_another")
def test_without_torchrun_s_store_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not several.speaks()
    monkeypatch.setenv("RANK", "0")
    assert several.speaks()


@pytest.mark.usefixtures("beside_another")
def test_the_command_that_continues_names_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch.launcher() == ["torchrun", "--nproc-per-node", "2", "-m", "osakd"]
    monkeypatch.setenv("WORLD_SIZE", "6")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert launch.launcher() == ["torchrun", "--nnodes", "2", "--nproc-per-node", "3", "-m", "osakd"]
    monkeypatch.delenv("MASTER_PORT")
    assert launch.launcher() == ["osakd"]
    assert launch.process_number() == 0


@pytest.fixture
def own_signal() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("beside_another", "own_signal")
def test_the_launcher_s_signal_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="The launcher has stopped this run"), several.stopped_by_launcher():
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.usefixtures("beside_another", "own_signal")
def test_a_process_that_fails_says_why_before_the_launcher_ends_it() -> None:
    """The launcher stops it at once where another process has died too."""
    with pytest.raises(ValueError, match="lost"), several.stopped_by_launcher():
        raise ValueError("lost")
    os.kill(os.getpid(), signal.SIGTERM)  # would end this process
    with several.stopped_by_launcher():
        pass
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN  # as before
