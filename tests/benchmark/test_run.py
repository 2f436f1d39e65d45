"""The benchmark runs as a user runs it, on a few steps."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import contenders, run
from benchmarks.curves import write_curves
from benchmarks.floors import Rates, Work, best_of, search_step, training_step
from benchmarks.run import main
from osakd.engine import timing
from osakd.engine.allocator import keep_freed_memory
from osakd.engine.timing import Timed

CPU = torch.device("cpu")


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "IMAGES", 2_000)
    monkeypatch.setattr(run, "IMAGES", 2_000)


def test_the_benchmark_records_every_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], few_images: None
) -> None:
    everything = run._groups

    def few(device: torch.device, steps: int) -> dict[str, dict[str, Timed]]:
        kept = ("lenet plain", "fused 15", "lenet memory", "search", "product and topk", "search 10000", "replicas 3")
        groups = everything(device, steps)
        found = {title: {n: t for n, t in group.items() if n in kept} for title, group in groups.items()}
        return found | {"start": groups["start"]}

    monkeypatch.setattr(run, "_groups", few)
    monkeypatch.setattr(run, "ROUNDS", {"cpu": 1})
    assert main(["--out", str(tmp_path), "--steps", "2", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "| 15 runs (5 seeds x plain, 8NN, 16NN), fused |" not in said  # without the plain script
    assert "| OSAKD step, memory of 50,000 x 10, LeNet |" in said
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert len(record["seconds_per_step"]["lenet plain"]) == 1
    assert record["steps"] == 2
    assert record["made_by"]["torch"] == torch.__version__
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".svg"}


def test_every_contender_is_built_from_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = run._groups(CPU, 10)
    names = [name for group in groups.values() for name in group]
    assert len(names) == len(set(names))
    assert {f"replicas {count}" for count in (1, 3, 5, 15, 45)} <= set(names)
    assert all(seeds * methods == count for count, (seeds, methods) in run.REPLICAS.items())
    assert {f"search {rows}" for rows in (10_000, 50_000, 200_000, 1_000_000)} <= set(names)


def test_processes_of_their_own_run_at_the_same_time(few_images: None) -> None:
    assert 0 < contenders.processes(2, "plain")(1) < 60


def test_the_plain_script_prints_its_seconds() -> None:
    script = contenders.plain_script(workers=0, threads=1, device="cpu")
    assert 0 < script(2) < 60


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


def test_work_of_a_step() -> None:
    lenet = training_step("lenet")
    assert lenet.operations == pytest.approx(64 * 3.205e6, rel=0.01)  # 2 x 1.6 MMAC per image
    assert search_step(50_000).operations == 2 * 64 * 50_000 * 10
    assert best_of(Rates(1, 4), Rates(3, 2)) == Rates(3, 4)
    assert Work(2e9, 1e9).floor(Rates(1e9, 1e9)) == 2.0
    assert Work(1e9, 3e9).floor(Rates(1e9, 1e9)) == 3.0


def test_curves_are_drawn_from_what_was_timed(tmp_path: Path) -> None:
    seconds: dict[str, Any] = {"replicas 1": [0.1], "replicas 3": [0.2], "search 10000": [0.3], "plain, batch 64": [1]}
    for name in ("a", "b"):
        write_curves(seconds, tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_freed_memory_is_kept_where_the_system_can() -> None:
    assert keep_freed_memory() in (True, False)
