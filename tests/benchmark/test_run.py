"""The benchmark runs as a user runs it, on a few steps."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import against, run, workloads
from benchmarks.curves import write_curves
from benchmarks.rows import FASHION_SCRIPT, ROWS, SCRIPT, extrapolations, table
from benchmarks.run import main
from osakd.engine import timing
from osakd.engine.allocator import keep_freed_memory

CPU = torch.device("cpu")
SECONDS = {
    SCRIPT[0]: [0.008, 0.010, 0.009],
    SCRIPT[1]: [0.012, 0.011, 0.020],
    "lenet plain": [0.005, 0.0045, 0.004],
    "fused 15": [0.030, 0.027, 0.024],
    "lenet osakd": [0.0050, 0.0048, 0.0049],
    "osakd --help": [0.02, 0.5, 0.03],
}
SMALL = ["lenet plain", "lenet memory", "search", "product and topk", "search 10000", "replicas 3", "osakd --help"]
SMALL += ["loss 1000", "cross-entropy 1000"]


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "IMAGES", 2_000)
    monkeypatch.setattr(run, "IMAGES", 2_000)


def test_the_faster_script_counts_and_ratios_are_taken_within_rounds() -> None:
    head, _, *rows = table(SECONDS).splitlines()
    assert rows[0] == "| one LeNet run, batch 64 | the plain script | 4.50 | 9.00 | 2.22x |"  # of 8/5, 10/4.5, 9/4
    assert "| the plain script, 15 times | 27.00 | 135.00 | 5.56x |" in rows[1]  # 15 x 10/27
    assert rows[-1] == "| osakd --help | - | 30.00 | - | - |"
    assert len(rows) == 5  # what was not timed is left out
    assert all(row.count("|") == head.count("|") for row in rows)


def test_extrapolations_say_what_they_are() -> None:
    one, column = extrapolations(SECONDS)
    assert one == "one LeNet run of 100 epochs: 78,200 steps x 4.50 ms = 5.9 minutes, extrapolated, without evaluation"
    assert column.startswith("one column of Table I (15 runs) of 100 epochs: 78,200 steps x 27.00 ms = 35.2 minutes")


def test_the_benchmark_records_every_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], few_images: None
) -> None:
    words = ["--out", str(tmp_path), "--steps", "2", "--rounds", "1", "--device", "cpu", "--workloads", *SMALL]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "| OSAKD step, memory of 50,000 x 10, LeNet |" in printed
    assert "| OSAKDLoss alone, 64 x 1,000 | cross-entropy |" in printed
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert set(record["seconds_per_step"]) == set(SMALL)
    assert len(record["seconds_per_step"]["lenet plain"]) == 1
    assert record["steps"] == 2
    assert record["made_by"]["torch"] == torch.__version__
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".svg"}


def test_two_checkouts_are_timed_in_turn(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--steps", "1", "--rounds", "2", "--device", "cpu", "--workloads", "lenet plain"]
    assert main([*words, "--against", str(against.ROOT)]) == 0
    head, _, row = capsys.readouterr().out.splitlines()
    assert head == "| workload | before ms | now ms | now / before |"
    assert row.startswith("| lenet plain | ")
    assert 0.01 < float(row.split("|")[-2]) < 100


def test_what_is_not_a_checkout_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--against", str(tmp_path), "--device", "cpu"]) == 2
    assert "give a checkout" in capsys.readouterr().err


def test_every_row_has_its_workloads() -> None:
    names = [name for group in run.groups(CPU, 10).values() for name in group]
    assert len(names) == len(set(names))
    on_gpu = {"resnet memory", "import osakd"}
    assert {name for row in ROWS for name in (row.workload, *row.baselines)} <= {*names, *on_gpu}
    assert {FASHION_SCRIPT, *SMALL} <= set(names)
    assert all(seeds * methods == count for count, (seeds, methods) in run.REPLICAS.items())


def test_processes_of_their_own_run_at_the_same_time(few_images: None) -> None:
    assert 0 < workloads.processes(2, "plain")(1) < 60


def test_the_plain_script_prints_its_seconds() -> None:
    assert 0 < workloads.plain_script(workers=0, threads=1, device="cpu")(2) < 60


@pytest.mark.parametrize("where", ["a file", "/proc/nowhere/x"])
def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    (tmp_path / "a file").touch()
    assert main(["--out", str(tmp_path / where), "--device", "cpu"]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_steps_below_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--steps", "0"]) == 2
    assert "`steps` must be at least 1, got 0" in capsys.readouterr().err


def test_curves_are_drawn_from_what_was_timed(tmp_path: Path) -> None:
    write_curves({"replicas 1": [0.1], "replicas 3": [0.2], "search 10000": [0.3]}, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_freed_memory_is_kept_where_the_system_can() -> None:
    assert keep_freed_memory() in (True, False)
