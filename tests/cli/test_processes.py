"""What only a process of its own can show: start-up, signals, exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from osakd.records import read_metrics, read_result
from tests.cli.started import started


def osakd(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "osakd", *argv], capture_output=True, text=True, check=False, timeout=120, **options
    )


def test_help_and_mistakes_never_import_torch() -> None:
    code = (
        "import sys; from osakd.cli.main import COMMANDS, main; "
        "codes = [main([name, '--help']) for name in COMMANDS] + [main(['--help']), main(['list'])]; "
        "mistake = main(['train', '--bogus']), main(['compare', '--epochs', 'x']); "
        "sys.exit(any(codes) or mistake != (2, 2) or 'torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_module_and_exit_code() -> None:
    done = osakd("train", "--data", "./none")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "osakd: The data folder './none' does not exist: check the path.\n"


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """As the terminal does: to every process of the command."""
    os.killpg(process.pid, signal.SIGINT)


def interrupt_once_it_works(argv: list[str], curve: Path) -> tuple[int, str]:
    with started("osakd", *argv) as process:
        for _ in range(600):
            if len(read_metrics(curve)) >= 2:
                break
            time.sleep(0.1)
        press_ctrl_c(process)
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors


def test_ctrl_c_stops_training_and_says_how_to_go_on(tmp_path: Path) -> None:
    argv = ["train", "--epochs", "3000", "--out", str(tmp_path / "run")]
    code, errors = interrupt_once_it_works(argv, tmp_path / "run")
    assert code == 130
    assert errors.strip() == f"osakd: stopped. Continue with: osakd {' '.join(argv)} --resume"
    assert read_result(tmp_path / "run") is None


@pytest.mark.parametrize("after", [0.5, 2.0, 3.5])
def test_ctrl_c_twice_while_a_comparison_starts(tmp_path: Path, after: float) -> None:
    argv = ["compare", "--methods", "plain", "osakd", "--seeds", "2", "--epochs", "3000", "--out", str(tmp_path)]
    with started("osakd", *argv) as process:
        time.sleep(after)
        for _ in range(2):
            press_ctrl_c(process)
            time.sleep(0.2)
        _, errors = process.communicate(timeout=60)
    # Before Python itself has started it ends by the signal; from then on it says how to go on.
    assert process.returncode in (130, -signal.SIGINT)
    if process.returncode == 130:
        assert errors.strip().splitlines()[-1].startswith("osakd: stopped.")


def test_ctrl_c_stops_a_comparison_with_all_its_processes(tmp_path: Path) -> None:
    argv = ["compare", "--methods", "plain", "osakd", "--seeds", "2", "--epochs", "3000", "--out", str(tmp_path)]
    code, errors = interrupt_once_it_works(argv, tmp_path / "plain-seed0")
    assert code == 130
    assert errors.strip() == f"osakd: stopped. Continue with: osakd {' '.join(argv)}"
    rows = len(read_metrics(tmp_path / "plain-seed0"))
    time.sleep(0.5)
    assert len(read_metrics(tmp_path / "plain-seed0")) == rows
