"""One bad record never stops the report of others: its run is named in a sentence, and they are shown."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import osakd
from osakd.cli.main import main
from osakd.durable import line
from osakd.errors import printable
from osakd.records import CONFIG, METRICS, RESULT, read_run
from osakd.runs import pack_runs, read_runs
from tests.data.made import write_image_folder
from tests.report.made import make_run

GONE = "gone"
VALUES = [
    (CONFIG, ("method",), []),
    (CONFIG, ("seed",), True),
    (CONFIG, ("epochs",), 0),
    (CONFIG, ("data", "class_counts"), [0, -1]),
    (CONFIG, ("data", "input_shape"), [3]),
    (CONFIG, ("data", "test"), 0),
    (CONFIG, ("settings",), {"k": 8, "colour": "red"}),  # of a later version
    (CONFIG, ("settings", "k"), 10**9),
    (CONFIG, ("settings", "soft_weight"), 10**400),
    (CONFIG, ("learning_rate",), "0.1"),
    (CONFIG, ("milestones",), [None]),
    (CONFIG, ("augment",), "flip"),
    (RESULT, ("seconds",), None),
    (RESULT, ("notes",), [3]),
    (RESULT, ("cost", "step_ms"), "fast"),
    (RESULT, ("environment",), 3),
    (RESULT, ("last", "test", "accuracy"), 17),
    (RESULT, ("last", "test", "accuracy"), float("inf")),
    (RESULT, ("best_on_test", "epoch"), "2"),
    (RESULT, ("deployed",), {"weights": "last"}),
    (METRICS, ("test", "accuracy"), float("nan")),
    (METRICS, ("test", "accuracy"), float("inf")),
    (METRICS, ("test", "nll"), "low"),
    (METRICS, ("train", "total"), []),
    (METRICS, ("train",), 1),
    (METRICS, ("epoch",), 2**70),
    (METRICS, ("seconds",), None),
    (METRICS, ("seconds",), GONE),
    (METRICS, ("others",), {"x": {"test": {"accuracy": 2, "nll": 1, "ece": 1}}}),
]


def changed(path: Path, keys: tuple[str, ...], value: object) -> None:
    """Another value in a JSON record, or in the first row of a curve, as if its writer had written it."""
    rows = [json.loads(text) for text in path.read_text().splitlines()] if path.name == METRICS else None
    values = [json.loads(path.read_text())] if rows is None else rows
    for each in values:
        del each["crc32"]
    inner = values[0]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    if value == GONE:
        del inner[keys[-1]]
    path.write_text("".join(json.dumps(each) + "\n" for each in values))


@pytest.mark.parametrize(("name", "keys", "value"), VALUES)
def test_a_value_of_another_kind_is_said_of_its_run_alone(
    name: str, keys: tuple[str, ...], value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        make_run(tmp_path / f"plain-seed{seed}", [0.5, 0.6])
    run = make_run(tmp_path / "osakd-seed0", [0.5, 0.6])
    changed(run / name, keys, value)
    assert main(["report", str(tmp_path)]) == 0
    assert main(["status", str(tmp_path)]) == 0
    assert main(["card", str(run)]) in (0, 1, 2)
    assert "unexpected" not in capsys.readouterr().err
    page = (tmp_path / "report.html").read_text()
    assert "Runs: 2 finished, 1 damaged." in page
    assert "seed 0: damaged: " in page


def test_a_score_of_minus_zero_is_a_score(tmp_path: Path) -> None:
    run = make_run(tmp_path / "plain-seed0", [0.0, 0.0])
    for name, keys in ((METRICS, ("test", "accuracy")), (RESULT, ("last", "test", "accuracy"))):
        changed(run / name, keys, -0.0)
    assert main(["report", str(tmp_path)]) == 0
    assert main(["card", str(run)]) == 0


def test_packed_runs_are_checked_alike(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"plain-seed{seed}", [0.5, 0.6]) for seed in range(3)]
    path = tmp_path / "packed.jsonl"
    pack_runs(path, [run for folder in runs for run in read_runs(folder)])
    first, second, third, fourth = [json.loads(text) for text in path.read_bytes().splitlines()]
    for values in (first, second, third, fourth):
        del values["crc32"]
    third["result"]["seconds"] = "long"
    fourth["curve"][0]["test.accuracy"][0] = 1.5
    path.write_bytes(b"".join(line(values) for values in (first, second, third, fourth)))
    assert [run.damaged for run in read_runs(path)] == [False, True, True]


class Overflowing(nn.Module):
    """A network whose outputs overflow in evaluation, though its weights are finite."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(64, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs = self.layer(images.flatten(1))
        return outputs if self.training else outputs * 1e38 * 1e38


def overflowing(num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return Overflowing(num_classes)


@pytest.mark.parametrize("options", [{"deploy": "last"}, {"deploy": "best", "validation": 0.4, "ema_epochs": 1}])
def test_a_run_whose_outputs_overflow_says_so(
    options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--data", "digits", "--model", f"{__name__}:overflowing", "--epochs", "2", "--out", str(tmp_path / "run")]
    own += [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    assert main(["train", *own]) == 0
    assert "NLL nan" in capsys.readouterr().out
    for path in (tmp_path / "run").glob("*.json*"):
        assert "NaN" not in path.read_text()
        assert "Infinity" not in path.read_text()
    (run,) = read_runs(tmp_path / "run")
    assert run.result is not None
    assert run.result.last["test"]["nll"] is None
    assert any("not finite in 2 of 2 evaluations" in note for note in run.result.notes)
    for words in (["report", str(tmp_path)], ["status", str(tmp_path)], ["card", str(tmp_path / "run")]):
        assert main(words) == 0
    pack_runs(tmp_path / "packed.jsonl", [run])
    (packed,) = read_runs(tmp_path / "packed.jsonl")
    assert packed.result is not None
    assert packed.result.last["test"]["nll"] is None
    assert main(["report", str(tmp_path / "packed.jsonl")]) == 0


def test_runs_of_one_label_and_seed_are_both_shown(tmp_path: Path) -> None:
    for name in ("plain-seed0", "cifar10-lenet-plain-seed0"):
        make_run(tmp_path / name, [0.5, 0.6])
    osakd.write_report(tmp_path)
    assert "Runs: 2 finished." in (tmp_path / "report.html").read_text()
    table = (tmp_path / "tables.md").read_text()
    assert "| plain-seed0 |" in table
    assert "| cifar10-lenet-plain-seed0 |" in table


def test_figures_of_like_names_do_not_replace_each_other(tmp_path: Path) -> None:
    for name in ("x y", "x-y"):
        make_run(tmp_path / name / "plain-seed0", [0.5, 0.6])
    osakd.write_report(tmp_path)
    assert len(list((tmp_path / "figures").glob("*.pdf"))) == 2


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder whose name is not UTF-8."""
    folder = tmp_path / os.fsdecode(b"odd-\xff")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such names")
    return folder


def test_names_that_are_not_utf_8_are_written_out(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_image_folder(odd / "data")
    for split in ("train", "test"):
        (data / split / "cat").rename(data / split / os.fsdecode(b"c\xe4t"))
    words = ["--data", str(data), "--model", "lenet-digits", "--epochs", "1", "--batch-size", "4"]
    assert main(["train", *words, "--out", str(odd / "runs/plain-seed0")]) == 0
    image = str(next(data.glob("test/*/*.png")))
    for command in (
        ["status", str(odd / "runs")],
        ["report", str(odd / "runs")],
        ["card", str(odd / "runs/plain-seed0")],
    ):
        assert main(command) == 0
    for more in ([], ["--json"]):
        assert main(["predict", str(odd / "runs/plain-seed0"), image, *more]) == 0
    said = capsys.readouterr()
    assert "unexpected" not in said.err
    assert printable(said.out).encode()
    assert read_run(odd / "runs/plain-seed0").damage is None
