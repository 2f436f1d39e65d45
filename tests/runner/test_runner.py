"""Many runs: workers that die, runs that fail, and a second runner on the same folder."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd import RunError
from osakd.engine.config import Options
from osakd.engine.plan import DataSource, Plan, plan_runs
from osakd.records import LOCK, STUDENT, read_metrics, read_result, read_run, write_config, write_error
from osakd.runner.lock import NOTE, current_runner, lock_runner
from osakd.runner.progress import Progress
from osakd.runner.run import run_plans


def workers() -> list[int]:
    """The processes of the pool, the first one started first."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def plans_of(folder: Path, epochs: int) -> list[Plan]:
    options = Options(deploy="last", epochs=epochs, executor="serial")
    return plan_runs(DataSource("digits"), ["plain"], [0, 1], options, folder)


def test_a_killed_worker_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is killed in the middle: all runs end as runs that were never stopped, bit for bit."""
    killed: list[int] = []

    def kill_a_worker(states: list[Progress]) -> None:
        if not killed and any(state.running and len(state.rows) >= 3 for state in states):
            killed.append(workers()[-1])
            os.kill(killed[0], signal.SIGKILL)

    # Each worker saves every epoch, so that there is something to continue from.
    (tmp_path / "sitecustomize.py").write_text(
        "import osakd.engine.loop\nosakd.engine.loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    errors = run_plans(plans_of(tmp_path / "killed", 40), processes=2, on_progress=kill_a_worker)
    assert (len(killed), errors) == (1, {})
    run_plans(plans_of(tmp_path / "whole", 40), processes=2, on_progress=lambda _: None)
    for seed in (0, 1):
        one, other = tmp_path / f"killed/plain-seed{seed}", tmp_path / f"whole/plain-seed{seed}"
        assert [row["epoch"] for row in read_metrics(one)] == list(range(1, 41))
        for run in (one, other):
            assert str(read_result(run).environment["executor"]).startswith("serial")
        assert (one / STUDENT).read_bytes() == (other / STUDENT).read_bytes()


def test_a_worker_that_always_dies_is_given_up_and_recorded(tmp_path: Path) -> None:
    """The other run goes on meanwhile, and the error is gone as soon as the run is tried again."""
    plans = plans_of(tmp_path, 2)
    doomed = plans[0].folder

    def kill_who_works_at_it(_: list[Progress]) -> None:
        for worker in workers():
            with suppress(FileNotFoundError):  # files that it closes meanwhile
                if doomed / LOCK in [file.readlink() for file in Path(f"/proc/{worker}/fd").iterdir()]:
                    os.kill(worker, signal.SIGKILL)

    errors = run_plans(plans_of(tmp_path, 2000)[:1] + plans[1:], processes=2, on_progress=kill_who_works_at_it)
    assert list(errors) == [doomed]
    assert read_run(doomed).error == str(errors[doomed])
    assert "died 3 times without a checkpoint in between" in str(errors[doomed])
    assert read_result(plans[1].folder) is not None


def test_a_failed_run_is_recorded_until_it_finishes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"seeds": 1, "processes": 1, "epochs": 1, "out": tmp_path}
    with pytest.raises(RunError, match="not finite"):
        osakd.compare("digits", methods=["plain"], learning_rate=1e39, **options)
    assert "not finite" in str(read_run(tmp_path / "plain-seed0").error)
    (tmp_path / "plain-seed0/config.json").unlink()
    for path in (tmp_path / "plain-seed0").iterdir():
        if path.name not in (LOCK, "error.json"):
            path.unlink()
    osakd.compare("digits", methods=["plain"], **options)
    assert not (tmp_path / "plain-seed0/error.json").exists()
    write_error(tmp_path / "plain-seed0", "It failed before.")
    assert read_run(tmp_path / "plain-seed0").error is None


def test_a_second_runner_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from osakd.runner.lock import lock_runner\n"
        "with lock_runner(Path(sys.argv[1]), lambda _: None):\n    print('locked', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match=rf"is in use by process {process.pid} on .*, since 20.*: wait"):
            osakd.compare("digits", methods=["plain"], seeds=1, epochs=1, out=tmp_path)
        runner = current_runner(tmp_path)
        assert (runner.process, runner.certain) == (process.pid, True)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert (tmp_path / NOTE).exists()  # it was killed
    assert current_runner(tmp_path) is None
    with lock_runner(tmp_path, lambda _: None):
        pass
    assert not (tmp_path / NOTE).exists()


UNGUARDED = """
import sys, osakd
how = {"methods": ["plain"], "seeds": 2, "epochs": 1, "executor": "serial"}
osakd.compare("digits", out=sys.argv[1], processes=int(sys.argv[2]), **how)
print("compared")
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_script_without_a_guard(tmp_path: Path, processes: int) -> None:
    """With one process it just runs; with more the last line says what is missing."""
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    words = [sys.executable, str(script), str(tmp_path / "runs"), str(processes)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if processes == 1:
        assert (ended.returncode, ended.stdout) == (0, "compared\n")
    else:
        assert "is in use" not in ended.stderr
        assert 'must do so under `if __name__ == "__main__":`' in ended.stderr.splitlines()[-1]


def test_one_process_stops_when_asked_to_and_continues(tmp_path: Path) -> None:
    def stop(states: list[Progress]) -> None:
        if any(len(state.rows) > 3 for state in states):
            raise KeyboardInterrupt

    options: dict[str, Any] = {"methods": ["plain"], "seeds": 1, "epochs": 300, "processes": 1}
    with pytest.raises(KeyboardInterrupt):
        osakd.compare("digits", out=tmp_path / "cut", on_progress=stop, **options)
    assert 3 < len(read_metrics(tmp_path / "cut/plain-seed0")) < 300
    assert workers() == []
    osakd.compare("digits", out=tmp_path / "cut", **options | {"epochs": 300})
    osakd.compare("digits", out=tmp_path / "whole", **options)
    one, other = (tmp_path / f"{name}/plain-seed0/{STUDENT}" for name in ("cut", "whole"))
    assert one.read_bytes() == other.read_bytes()


def test_a_finished_run_of_before_a_setting_existed_is_finished(tmp_path: Path) -> None:
    """New methods on the same seeds share a program without it."""
    osakd_only = {"name": "osakd", "reliability": False}
    options = Options(deploy="last", epochs=1, executor="fused")

    def plans_for(methods: list[Any]) -> list[Plan]:
        return plan_runs(DataSource("digits"), methods, [0, 1], options, tmp_path)

    first = plans_for([osakd_only])
    assert run_plans(first, processes=1, on_progress=lambda _: None) == {}
    for plan in first:
        older = {name: value for name, value in plan.config.settings.items() if name != "reliability"}
        write_config(plan.folder, replace(plan.config, settings=older))
    before: list[Progress] = []
    plans = plans_for([osakd_only, "plain"])
    assert run_plans(plans, processes=1, on_progress=lambda states: before.extend([] if before else states)) == {}
    assert {state.plan.folder for state in before} == {plan.folder for plan in first}
    assert all(read_result(plan.folder) is not None for plan in plans)
