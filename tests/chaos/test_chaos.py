"""A part of ``make chaos``; its faults are injected into processes of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the faults are made for Linux")


def chaos(*words: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    script = f"import sys; {before}; from chaos.run import main; sys.exit(main({list(words)!r}))"
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("fault", ["writes", "power", "memory", "resume", "damage"])
def test_nothing_is_lost_and_nothing_wrong(fault: str) -> None:
    done = chaos("--faults", fault, "--short", "--seconds", "4")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1].endswith("| 0 | 0 |  |")


def test_what_is_not_synced_is_lost() -> None:
    """The power failure is real: without the sync of folders something is gone."""
    unsynced = "import osakd.durable; osakd.durable.sync_folder = print"
    done = chaos("--faults", "power", "--seconds", "5", "--seed", "3", before=unsynced)
    assert done.returncode == 1
    assert "then it ended before write" in done.stderr
