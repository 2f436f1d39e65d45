"""``osakd report``: what it writes, what it prints, what it never needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from osakd.cli.main import main
from tests.report.made import make_comparison


def test_it_says_where_the_report_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_comparison(tmp_path / "mine", {"plain": 0.0, "osakd-8nn": 0.02}, 2)
    assert main(["report", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert printed == (
        f"Open {folder}/report.html in a browser; tables.md, tables.tex, tables.csv and figures/ lie beside it.\n"
    )
    assert main(["report", str(folder), "--out", str(tmp_path / "new/place")]) == 0
    assert (tmp_path / "new/place/report.html").read_bytes() == (folder / "report.html").read_bytes()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["none"], "osakd: The folder 'none' does not exist: give the folder of a run or of records.\n"),
        (["none", "--data", "digits"], "osakd: `data` says where a gallery's images are: give `gallery` too"),
        ([], "osakd: "),
    ],
)
def test_what_it_cannot_use_is_one_sentence(
    argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *argv]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(message)
    assert errors.count("\n") == 1


def test_rebuilding_a_report_never_imports_torch(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "mine", {"plain": 0.0, "osakd-8nn": 0.02}, 2)
    code = "import sys; from osakd.cli.main import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "report", str(folder)], capture_output=True, check=False)
    assert (done.stdout.splitlines()[-1], done.stderr) == (b"0 False", b"")
