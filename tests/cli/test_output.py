"""Output that cannot be written: it ends no work, and is said at the end unless its reader has gone."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from osakd.cli.main import main
from osakd.records import read_result
from tests.data.made import write_image_folder


def full() -> TextIO:
    return Path("/dev/full").open("w")


def without_reader() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize(("stream", "code"), [(full, 1), (without_reader, 0)])
@pytest.mark.parametrize("command", ["list", "train", "compare --methods plain --seeds 1 --processes 1"])
def test_output_that_cannot_be_written_ends_no_work(
    stream: Callable[[], TextIO],
    code: int,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = [] if command == "list" else ["--epochs", "2", "--fraction", "0.1", "--out", str(tmp_path / "run")]
    with stream() as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main([*command.split(), *options]) == code
    sentence = "osakd: the output could not be written (No space left on device); the rest was done.\n"
    assert capsys.readouterr().err == sentence * code
    if options:
        assert read_result(next((tmp_path / "run").rglob("config.json")).parent).epochs == 2


def test_errors_that_cannot_be_written_leave_their_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with full() as errors:
        monkeypatch.setattr(sys, "stderr", errors)
        assert main(["train", "--data", "./none"]) == 2


@pytest.mark.parametrize("command", ["list", "train", "compare --methods plain osakd --seeds 1 --processes 1"])
def test_ascii_is_enough(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = str(write_image_folder(tmp_path / "Hündchen", classes=("ä", "ö")))
    options = [] if command == "list" else ["--epochs", "1", "--data", data, "--out", str(tmp_path / "Ü")]
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, "ascii", write_through=True))
    assert main([*command.split(), *options]) == 0
    assert output.getvalue()
