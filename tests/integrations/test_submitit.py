"""Runs as jobs of submitit: its processes on this machine, and its commands to SLURM, which a few scripts answer."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

import osakd
from osakd import InputError, RunError
from osakd.cli.main import main
from osakd.records import LOCK, STUDENT, read_metrics, read_result
from osakd.runner.progress import Progress
from tests.integrations.needs import needs

submitit = needs("submitit")
# The jobs of a command that has stopped end after it.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
LOCAL = {"cluster": "local"}

SBATCH = """#!{python}
# Starts the tasks of a job array at once, on this machine.
import os, re, subprocess, sys
text = open(sys.argv[1]).read()
open({folder!r} + "/sbatch.txt", "a").write(text)
last = re.search(r"--array=0-(\\d+)", text)
for task in range(int(last[1]) + 1):
    names = dict(SLURM_JOB_ID=str(7 + task), SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID=str(task))
    null = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.Popen(["bash", sys.argv[1]], env=os.environ | names, start_new_session=True, **null)
print("Submitted batch job 7")
"""
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do case $1 in --unbuffered) shift;; *) shift 2;; esac; done
exec "$@" > /dev/null 2>&1
"""


@pytest.fixture(autouse=True)
def every_epoch_is_saved(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("start")
    (folder / "sitecustomize.py").write_text(
        "import osakd.engine.loop\nosakd.engine.loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(submitit.core.core.Job, "_results_timeout_s", 1)  # there is no slow file server here


def trained_by(run: Path) -> int | None:
    """The process that holds the lock of a run."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if run / LOCK in [file.readlink() for file in (process / "fd").iterdir()]:
                return int(process.name)
        except OSError:  # it has ended, or is another user's
            continue
    return None


def test_a_killed_job_costs_nothing_but_time(tmp_path: Path) -> None:
    """It is submitted again, goes on where it was, and ends as if it had never been stopped."""
    killed: list[int] = []
    run = tmp_path / "there/plain-seed0"

    def kill(states: list[Progress]) -> None:
        worker = trained_by(run) if not killed and any(len(state.rows) >= 3 for state in states) else None
        if worker is not None:
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)

    osakd.compare(
        "digits", methods=["plain"], seeds=1, epochs=60, out=tmp_path / "there", submitit=LOCAL, on_progress=kill
    )
    assert len(killed) == 1
    here = osakd.train("digits", epochs=60, out=tmp_path / "here")
    assert [row["epoch"] for row in read_metrics(run)] == list(range(1, 61))
    assert (run / STUDENT).read_bytes() == (here.folder / STUDENT).read_bytes()


def test_a_stopped_command_stops_its_jobs_and_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(states: list[Progress]) -> None:
        if any(state.rows for state in states):
            raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    epochs = 400  # a job of 40 may have finished before it is stopped
    options = {"methods": ["plain"], "seeds": 1, "epochs": epochs, "out": "some/runs"}
    with pytest.raises(KeyboardInterrupt):
        osakd.compare("digits", submitit=LOCAL, on_progress=stop, **options)
    run = tmp_path / "some/runs/plain-seed0"
    until = time.monotonic() + 30
    while trained_by(run) is not None:
        assert time.monotonic() < until, "the job goes on"
        time.sleep(0.1)
    assert 0 < len(read_metrics(run)) < epochs
    osakd.compare("digits", submitit=LOCAL, **options)
    assert [row["epoch"] for row in read_metrics(run)] == list(range(1, epochs + 1))
    assert read_result(run) is not None


def test_slurm_gets_one_job_array_with_the_options_of_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = {
        "sbatch": SBATCH.format(python=sys.executable, folder=str(tmp_path)),
        "srun": SRUN,
        "sacct": "#!/bin/sh",
    }
    for name, text in commands.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    words = ["compare", "--methods", "plain", "--seeds", "2", "--epochs", "1", "--out", str(tmp_path / "runs")]
    assert main([*words, "--submitit", "{partition: night, time: 30, mem: 2GB}"]) == 0
    assert all(read_result(tmp_path / f"runs/plain-seed{seed}") for seed in (0, 1))
    asked = (tmp_path / "sbatch.txt").read_text()
    lines = ("array=0-1%2", "partition=night", "time=30", "mem=2GB", "cpus-per-task=1", "job-name=osakd")
    assert all(asked.count(f"#SBATCH --{line}\n") == 1 for line in lines)
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2; exit 1\n")
    with pytest.raises(RunError, match=r"could not be submitted: .*invalid partition"):
        osakd.compare("digits", methods=["plain"], seeds=1, epochs=2, out=tmp_path / "other", submitit={})
    with pytest.raises(InputError, match="Unavailable parameter"):
        osakd.compare("digits", methods=["plain"], seeds=1, epochs=1, out=tmp_path / "more", submitit={"part": "a"})


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="The loss is not finite"):
        osakd.compare("digits", methods=["plain"], seeds=1, epochs=1, learning_rate=1e39, out=tmp_path, submitit=LOCAL)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{}", "There is no SLURM here"),
        ("{cluster: sge}", "Known: slurm, local"),
        ("{cluster: local, time: 1-00}", "a whole number of minutes"),
        ("{cluster: local} --scheduler a:1", "not both"),
        ("local", "must be a mapping"),
    ],
)
def test_what_cannot_be_used(
    given: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    value, *more = given.split(" --")
    rest = [word for one in more for word in f"--{one}".split()]
    words = ["compare", "--methods", "plain", "--seeds", "1", "--epochs", "1", "--out", str(tmp_path)]
    assert main([*words, "--submitit", value, *rest]) == 2
    assert message in capsys.readouterr().err


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"pip install 'osakd\[submitit\]'"):
        osakd.compare("digits", methods=["plain"], seeds=1, epochs=1, out=tmp_path, submitit={})
