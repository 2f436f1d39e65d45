"""Damaged records: each is one sentence, and hides no other run."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osakd.api.reports import recorded_columns
from osakd.cli.main import main
from osakd.errors import RunError
from osakd.records import CONFIG, METRICS, RESULT, read_config, read_metrics, read_result
from osakd.report.page.page import page
from tests.conftest import as_ordinary_user
from tests.report.made import make_run


def change(name: str, into: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Damages a JSON file."""

    def damage(run: Path) -> None:
        found = json.loads((run / name).read_text())
        found.pop("crc32")  # a change that its writer made
        into(found)
        (run / name).write_text(json.dumps(found))

    return damage


def cut_short(run: Path) -> None:
    (run / METRICS).write_text((run / METRICS).read_text().partition("\n")[0] + "\n")


DAMAGES = [
    pytest.param(lambda run: (run / METRICS).unlink(), r"metrics\.jsonl' is damaged \(it ends before", id="no curve"),
    pytest.param(lambda run: (run / METRICS).write_text(""), r"ends before the first epoch, its run at", id="empty"),
    pytest.param(cut_short, r"ends at epoch 1, its run at epoch 2\): move the run folder away", id="short"),
    pytest.param(lambda run: (run / METRICS).write_text("[]\n"), r"metrics\.jsonl' is damaged", id="no rows"),
    pytest.param(change(RESULT, lambda one: one["last"].pop("test")), r"it has no last\.test\.accuracy", id="last"),
    pytest.param(change(RESULT, lambda one: one.update(last=3)), r"it has no last\.test\.accuracy", id="number"),
    pytest.param(change(RESULT, lambda one: one["best_on_test"].clear()), r"no best_on_test\.accuracy", id="best"),
    pytest.param(change(CONFIG, lambda one: one["data"].pop("content")), r"it has no data\.content\)", id="content"),
    pytest.param(change(CONFIG, lambda one: one.pop("seed")), "was written by another version of osakd", id="version"),
    pytest.param(lambda run: (run / CONFIG).write_text("{"), r"config\.json' is damaged", id="torn"),
    pytest.param(
        lambda run: ((run / METRICS).unlink(), (run / METRICS).mkdir()), r"damaged \(Is a directory\)", id="folder"
    ),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_a_damaged_run_is_shown_beside_the_others(
    damage: Callable[[Path], object], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    damage(make_run(tmp_path / "plain-seed1", [0.5, 0.6]))
    (column,) = recorded_columns(tmp_path)
    assert [run.damaged for run in column.runs] == [False, True]
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(column.runs[1].error)
    text = page("x", [column])
    assert "Runs: 1 finished, 1 damaged." in text
    assert "seed 1: damaged: " in text
    assert main(["status", str(tmp_path)]) == 0
    assert ": damaged: " in capsys.readouterr().out


def test_a_damaged_run_alone_is_shown(tmp_path: Path) -> None:
    make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    (tmp_path / "plain-seed0" / CONFIG).write_text("{")
    text = page("x", recorded_columns(tmp_path / "plain-seed0"))
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
                (column,) = recorded_columns(folder)
            assert column.runs[0].damaged
            (run / file).chmod(0o644)


def test_a_curve_that_is_being_continued_is_not_damaged(tmp_path: Path) -> None:
    """It has more rows than the result of the shorter run before it."""
    run = make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    change(CONFIG, lambda one: one.update(epochs=9))(run)
    assert len(read_metrics(run)) == 2
    assert read_result(run) is None
