"""The five lines of the README, from photos to a file for a board, on a few made photos."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.photos import COMMANDS
from osakd.cli.main import main
from tests.needs import needs

needs("executorch")


def test_they_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    for split, animal, number in np.ndindex(2, 2, 12):
        photo = Path("animals", ("train", "val")[split], ("king penguin", "lion")[animal], f"{number}.jpg")
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 120, (8, 8, 3), np.uint8) + np.uint8(120 * animal)).save(photo)
    photo.rename("photo.jpg")
    for command in COMMANDS:
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    assert "lion" in capsys.readouterr().out
