"""Damaged records hide no other run; what is refused is in tests/test_damaged.py."""

import tempfile
from pathlib import Path

import pytest

from osakd.api.reports import read_panels
from osakd.cli.main import main
from osakd.errors import RunError
from osakd.records import CONFIG, METRICS, RESULT, read_config, read_metrics, read_result
from osakd.report.page.page import page
from tests.conftest import as_ordinary_user
from tests.report.made import make_run


@pytest.mark.parametrize("name", [CONFIG, METRICS, RESULT])
def test_a_damaged_run_is_shown_beside_the_others(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    (make_run(tmp_path / "plain-seed1", [0.5, 0.6]) / name).write_text("{")
    (panel,) = read_panels(tmp_path)
    assert [run.damaged for run in panel.runs] == [False, True]
    text = page("x", [panel])
    assert "Runs: 1 finished, 1 damaged." in text
    assert "seed 1: damaged: " in text
    assert main(["status", str(tmp_path)]) == 0
    assert ": damaged: " in capsys.readouterr().out


def test_a_damaged_run_alone_is_shown(tmp_path: Path) -> None:
    make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    (tmp_path / "plain-seed0" / CONFIG).write_text("{")
    text = page("x", read_panels(tmp_path / "plain-seed0"))
    assert "Runs: 1 damaged." in text
    assert "No run has finished yet." in text


def test_what_may_not_be_read_is_a_sentence() -> None:
    with tempfile.TemporaryDirectory() as name:  # not in pytest's own folder, which no other user may enter
        folder = Path(name)
        folder.chmod(0o755)
        run = make_run(folder / "plain-seed0", [0.5, 0.6])
        for file, read in ((METRICS, read_metrics), (RESULT, read_result), (CONFIG, read_config)):
            (run / file).chmod(0)
            with (
                as_ordinary_user(),
                pytest.raises(RunError, match=rf"No permission to read '.*{file}': change its perm"),
            ):
                read(run)
            with as_ordinary_user():
                (panel,) = read_panels(folder)
            assert panel.runs[0].damaged
            (run / file).chmod(0o644)


def test_a_curve_that_is_being_continued_is_not_damaged(tmp_path: Path) -> None:
    """It has more rows than the result of the shorter run before it."""
    run = make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    make_run(tmp_path / "plain-seed1", [0.5], finished=False, epochs=9)
    (run / CONFIG).write_bytes((tmp_path / "plain-seed1" / CONFIG).read_bytes())
    assert len(read_metrics(run)) == 2
    assert read_result(run) is None
