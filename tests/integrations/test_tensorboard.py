"""Event files for TensorBoard, read back: they hold what ``metrics.jsonl`` holds."""

import struct
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd.cli.main import main
from osakd.records import read_metrics
from osakd.runner.tensorboard import scalars
from tests.needs import needs

needs("tensorboardX")


def events(folder: Path) -> dict[tuple[str, int], list[float]]:
    """What TensorBoard would show of a folder: the values by tag and step."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[tuple[str, int], list[float]] = {}
    (path,) = folder.glob("events.out.tfevents.*")
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])  # then a checksum, the event, and its checksum
        event = Event.FromString(content[12 : 12 + length])
        for value in event.summary.value:
            found.setdefault((value.tag, event.step), []).append(value.simple_value)
        content = content[16 + length :]
    return found


def recorded(folder: Path) -> dict[tuple[str, int], Any]:
    rows = read_metrics(folder)
    return {(tag, row["epoch"]): [pytest.approx(value)] for row in rows for tag, value in scalars(row)}


class Stop(osakd.Callback):
    def on_step_begin(self, epoch: int, step: int) -> None:
        if epoch == 3:
            raise KeyboardInterrupt


def test_a_resumed_run_has_every_epoch_once(tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "born-again", "epochs": 4, "out": tmp_path, "log": "tensorboard"}
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", **options, callbacks=[Stop()])
    assert ("test/accuracy", 2) in events(tmp_path / "teacher")
    osakd.train("digits", **options, resume=True)
    for folder in (tmp_path, tmp_path / "teacher"):
        assert events(folder) == recorded(folder)
        assert {step for _, step in events(folder)} == {1, 2, 3, 4}


def test_a_comparison_and_the_same_command_again(tmp_path: Path) -> None:
    words = ["compare", "--methods", "plain", "osakd", "--seeds", "1", "--processes", "1", "--out", str(tmp_path)]
    for _ in range(2):
        assert main([*words, "--epochs", "2", "--log", "tensorboard"]) == 0
        for folder in (tmp_path / "plain-seed0", tmp_path / "osakd-seed0"):
            assert events(folder) == recorded(folder)
