"""The model card of a run says what the run recorded."""

from pathlib import Path

import pytest
import yaml

from osakd.cli.main import main
from osakd.records import read_result
from tests.engine.runs import digits_run


def test_the_command_prints_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = digits_run(tmp_path).folder
    capsys.readouterr()
    assert main(["card", str(run), "--license", "apache-2.0"]) == 0
    card = capsys.readouterr().out
    _, block, text = card.split("---\n", 2)
    metadata = yaml.safe_load(block)
    accuracy = read_result(run).last["test"]["accuracy"]
    measured = metadata["model-index"][0]["results"][0]
    assert measured["metrics"][0] == {"type": "accuracy", "value": round(accuracy, 4)}
    assert (metadata["license"], metadata["library_name"]) == ("apache-2.0", "osakd")
    z, n = 1.959964, 1197  # Wilson, JASA 1927
    middle, half = accuracy + z**2 / (2 * n), z * (accuracy * (1 - accuracy) / n + (z / (2 * n)) ** 2) ** 0.5
    low, high = ((middle + side * half) / (1 + z**2 / n) for side in (-1, 1))
    assert f"| accuracy | {100 * accuracy:.2f} % (95 % interval {100 * low:.2f} to {100 * high:.2f} %) |" in text
    assert "On the 1,197 test images" in text
    assert "1 epoch of batches of 16, sgd, learning rate 0.05 (constant)" in text
    assert main(["card", str(run), "--to", str(tmp_path / "README.md")]) == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == card.replace("license: apache-2.0\n", "")
    assert main(["card", str(tmp_path)]) == 2
