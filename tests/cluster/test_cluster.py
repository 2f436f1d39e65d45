"""The workers of a dask.distributed cluster: a real scheduler and two worker processes on this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd import InputError, RunError
from osakd.cli.main import main
from osakd.records import STUDENT, read_metrics, read_result
from osakd.runner.progress import Progress

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.xdist_group("cluster"),  # one cluster, and its tests in this order
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


def dask(*words: str, **more: str) -> subprocess.Popen[bytes]:
    """A part of a cluster, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *words, "--no-dashboard"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | more,
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers of one thread each, which save every epoch."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "sitecustomize.py").write_text(
        "import osakd.engine.loop\nosakd.engine.loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0\n"
    )
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    said = folder / "scheduler.json"
    parts = [dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(said))]
    try:
        until = time.monotonic() + 60
        while not said.exists():
            assert time.monotonic() < until, "no scheduler"
            time.sleep(0.1)
        words = ["--nworkers", "2", "--nthreads", "1", "--host", "127.0.0.1", "--local-directory", str(folder)]
        parts.append(dask("worker", "--scheduler-file", str(said), *words, PYTHONPATH=path))
        with distributed.Client(scheduler_file=str(said), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address
    finally:
        for part in reversed(parts):
            os.killpg(part.pid, signal.SIGKILL)
            part.wait()


def compare(scheduler: str, out: Path | str, **more: Any) -> None:
    osakd.compare("digits", methods=["plain"], out=out, scheduler=scheduler, **({"seeds": 1, "epochs": 1} | more))


def test_a_killed_worker_costs_nothing_but_time(cluster: str, tmp_path: Path) -> None:
    """Its run goes on where it was, on another worker, and ends as if it had never been stopped."""
    killed: list[int] = []

    def kill_a_worker(states: list[Progress]) -> None:
        if not killed and all(len(state.rows) >= 3 for state in states) and states:
            with distributed.Client(cluster, set_as_default=False) as client:
                killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    out = tmp_path / "there"
    compare(cluster, out, seeds=2, epochs=40, on_progress=kill_a_worker)
    assert len(killed) == 1
    for seed in (0, 1):
        here = osakd.train("digits", seed=seed, epochs=40, out=tmp_path / f"here{seed}")
        run = out / f"plain-seed{seed}"
        assert len(read_metrics(run)) == 40
        assert (run / STUDENT).read_bytes() == (here.folder / STUDENT).read_bytes()


def test_relative_folders_stages_and_failures(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers were started elsewhere
    words = ["compare", "--methods", "plain", "born-again", "--seeds", "1", "--epochs", "2", "--out", "some/runs"]
    assert main([*words, "--scheduler", cluster]) == 0
    assert "born-again" in capsys.readouterr().out
    assert read_result(tmp_path / "some/runs/born-again-seed0/teacher") is not None
    with pytest.raises(RunError, match="The loss is not finite"):
        compare(cluster, "bad", learning_rate=1e39)


def test_a_stopped_comparison_stops_its_workers(cluster: str, tmp_path: Path) -> None:
    def stop(states: list[Progress]) -> None:
        if any(state.rows for state in states):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(cluster, tmp_path, epochs=5000, on_progress=stop)
    time.sleep(1)
    rows = len(read_metrics(tmp_path / "plain-seed0"))
    time.sleep(1)
    assert 0 < rows == len(read_metrics(tmp_path / "plain-seed0"))


def test_the_scheduler_goes_while_runs_are_made(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The last test that uses it."""
    monkeypatch.setattr("osakd.cluster.SECONDS_TO_CONNECT", 1.0)

    def kill_the_scheduler(states: list[Progress]) -> None:
        if any(state.rows for state in states) and not killed:
            with distributed.Client(cluster, set_as_default=False) as client:
                killed.append(client.run_on_scheduler(os.getpid))
            os.kill(killed[0], signal.SIGKILL)

    killed: list[int] = []
    with pytest.raises(RunError, match="The dask scheduler is gone: start it again"):
        compare(cluster, tmp_path, epochs=5000, on_progress=kill_the_scheduler)
    assert "Traceback" not in capfd.readouterr().err


def test_a_scheduler_or_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("osakd.cluster.SECONDS_TO_CONNECT", 0.5)
    with pytest.raises(InputError, match=r"No dask scheduler answers at '127.0.0.1:1'"):
        compare("127.0.0.1:1", tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'osakd\[cluster\]'"):
        compare("127.0.0.1:1", tmp_path)


@pytest.mark.parametrize(("workers", "message"), [(1, "--nthreads 1"), (0, "has no workers: start some")])
def test_workers_of_several_threads_or_none(workers: int, message: str, tmp_path: Path) -> None:
    options = {"n_workers": workers, "threads_per_worker": 2, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, pytest.raises(InputError, match=message):
        compare(cluster.scheduler_address, tmp_path)
