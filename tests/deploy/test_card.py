"""The model card of a run says what the run recorded."""

from pathlib import Path

import pytest
import yaml
from scipy.stats import binomtest

from osakd.cli.main import main
from osakd.deploy.card import interval
from osakd.records import read_result
from tests.deploy.runs import digits_run


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (6030, 10_000), (10_000, 10_000)])
def test_the_interval_is_wilson_s(right: int, n: int) -> None:
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert interval(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_command_prints_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = digits_run(tmp_path).folder
    capsys.readouterr()
    assert main(["card", str(run), "--license", "apache-2.0"]) == 0
    card = capsys.readouterr().out
    _, block, text = card.split("---\n", 2)
    metadata = yaml.safe_load(block)
    result = read_result(run)
    assert result is not None
    accuracy = result.last["test"]["accuracy"]
    measured = metadata["model-index"][0]["results"][0]
    assert measured["metrics"][0] == {"type": "accuracy", "value": round(accuracy, 4)}
    assert (metadata["license"], metadata["library_name"]) == ("apache-2.0", "osakd")
    low, high = interval(accuracy, 1197)
    assert f"| accuracy | {100 * accuracy:.2f} % (95 % interval {100 * low:.2f} to {100 * high:.2f} %) |" in text
    assert "On the 1,197 test images" in text
    assert "1 epoch of batches of 16, sgd, learning rate 0.05 (constant)" in text
    assert main(["card", str(run), "--to", str(tmp_path / "README.md")]) == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == card.replace("license: apache-2.0\n", "")
    assert main(["card", str(tmp_path)]) == 2
