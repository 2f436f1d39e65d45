"""A method is one entry: a made-up one, added to the registry, works in every command without a change elsewhere."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import osakd
from osakd import Callback
from osakd.cli.main import main
from osakd.methods.registry import METHODS, MethodEntry
from osakd.records import read_metrics
from tests.methods.made_up import ConfidencePenaltySettings

NAME = "confidence-penalty"


@pytest.fixture(autouse=True)
def entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        METHODS, NAME, MethodEntry(ConfidencePenaltySettings, "tests.methods.made_up:ConfidencePenalty")
    )


class StopAfter(Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, row: dict[str, Any]) -> None:
        if row["epoch"] == self.epochs:
            raise KeyboardInterrupt


def test_it_trains_and_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osakd.engine.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    method = {"name": NAME, "penalty": 0.2}
    whole = osakd.train("digits", method=method, epochs=4, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", method=method, epochs=4, out=tmp_path / "cut", callbacks=[StopAfter(2)])
    cut = osakd.train("digits", method=method, epochs=4, out=tmp_path / "cut", resume=True)
    ours, theirs = (load_file(run.folder / "student.safetensors") for run in (whole, cut))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert [row["train"] for row in read_metrics(whole.folder)] == [row["train"] for row in read_metrics(cut.folder)]
    assert set(whole.result.last["train"]) == {"total", "entropy"}


@pytest.mark.parametrize("executor", ["serial", "fused"])
def test_it_is_compared_and_reported(executor: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs"
    options = ["--methods", "plain", NAME, "--seeds", "2", "--epochs", "2", "--executor", executor]
    assert main(["compare", "--data", "digits", "--out", str(folder), "--processes", "1", *options]) == 0
    printed = capsys.readouterr().out
    assert NAME in printed
    assert "Note: 10 classes in batches of 64, penalty 0.1." in printed
    assert main(["report", str(folder), "--out", str(tmp_path / "report")]) == 0
    assert NAME in (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert f"| {NAME} | 2 |" in (tmp_path / "report/tables.md").read_text(encoding="utf-8")
    assert main(["status", str(folder), "--all"]) == 0
    assert f"{NAME}-seed1: finished, epoch 2/2" in capsys.readouterr().out


def test_the_commands_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert f"  {NAME:<28}Penalises confident predictions. Source: Pereyra" in capsys.readouterr().out
    assert main(["train", "--method", NAME, "--help"]) == 0
    assert "weight of the entropy" in capsys.readouterr().out
    assert main(["cost", "--methods", "plain", NAME, "--model", "lenet"]) == 0
    assert NAME in capsys.readouterr().out
