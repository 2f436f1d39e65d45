"""Callbacks of the user, and logs that cannot be written."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd import InputError
from osakd.cli.main import main
from osakd.records import RunConfig, read_metrics


class Listen(osakd.Callback):
    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.rows: list[dict[str, Any]] = []

    def on_train_begin(self, config: RunConfig, steps: int, done: int, notes: Sequence[str]) -> None:
        self.begun.append((config.stage, done))

    def on_epoch_end(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


def test_callbacks_get_the_rows_of_metrics(tmp_path: Path) -> None:
    first, second = Listen(), Listen()
    osakd.train("digits", method="born-again", epochs=2, out=tmp_path, callbacks=[first, second])
    assert first.begun == [(1, 0), (0, 0)]
    assert first.rows == [*read_metrics(tmp_path / "teacher"), *read_metrics(tmp_path)]
    assert (second.begun, second.rows) == (first.begun, first.rows)


def test_logs_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    for call in (osakd.train, osakd.compare):
        with pytest.raises(InputError, match=r"pip install 'osakd\[tensorboard\]'"):
            call("digits", epochs=1, out=tmp_path, log="tensorboard")
        with pytest.raises(InputError, match=r"Unknown log 'wandb'\. Known: tensorboard"):
            call("digits", epochs=1, out=tmp_path, log="wandb")
    assert main(["train", "--log", "tensorbord"]) == 2
    assert "did you mean 'tensorboard'" in capsys.readouterr().err
    assert not list(tmp_path.glob("plain-seed*"))
