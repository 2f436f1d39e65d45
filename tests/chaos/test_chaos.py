"""A short part of ``make chaos``; its faults are injected into processes of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def chaos(*given: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    script = f"import sys; {before}; from chaos.run import main; sys.exit(main({list(given)!r}))"
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the faults are made for Linux")
@pytest.mark.parametrize("fault", ["writes", "power", "memory", "resume", "damage", "fuzz", "pictures"])
def test_nothing_is_lost_and_nothing_wrong(fault: str) -> None:
    done = chaos("--faults", fault, "--seconds", "4", "--cases", "1000")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1].endswith("| 0 | 0 | |")


@pytest.mark.skipif(sys.platform != "linux", reason="the faults are made for Linux")
def test_what_is_not_synced_is_lost() -> None:
    """The power failure is one: without the sync of folders something is gone."""
    done = chaos(
        "--faults",
        "power",
        "--seconds",
        "5",
        "--seed",
        "3",
        before="import osakd.durable; osakd.durable.sync_folder = print",
    )
    assert done.returncode == 1
    assert "then the power failed before write" in done.stderr
