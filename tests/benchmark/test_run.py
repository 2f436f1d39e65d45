"""The benchmark runs as a user runs it, on a few steps."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from osakd.benchmark import contenders, run
from osakd.benchmark.contenders import made_images
from osakd.benchmark.curves import write_curves
from osakd.benchmark.floors import Rates, Work, best_of, search_step, training_step
from osakd.benchmark.run import Timed, interleaved
from osakd.cli.main import main
from osakd.engine.allocator import keep_freed_memory

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "ROWS", 2_000)


def test_rounds_are_interleaved_after_a_warm_up() -> None:
    calls: list[tuple[str, int]] = []

    def build(name: str) -> contenders.Contender:
        def contender(steps: int) -> float:
            calls.append((name, steps))
            return float(steps * len(calls))

        return contender

    found = interleaved({"a": Timed(partial(build, "a"), 50), "b": Timed(partial(build, "b"), 5)}, 4)
    assert calls == [("a", 20), ("b", 5), *[("a", 50), ("b", 5)] * 4]
    assert found["a"] == [3.0, 5.0, 7.0, 9.0]


def test_the_command_records_every_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], few_images: None
) -> None:
    everything = run._groups

    def few(device: torch.device, script: Path, steps: int) -> dict[str, dict[str, Timed]]:
        kept = ("lenet plain", "fused 15", "lenet memory", "search", "product and topk", "search 10000", "replicas 3")
        groups = everything(device, script, steps)
        found = {title: {n: t for n, t in group.items() if n in kept} for title, group in groups.items()}
        return found | {"start": groups["start"]}

    monkeypatch.setattr(run, "_groups", few)
    monkeypatch.setattr(run, "ROUNDS", {"cpu": 1})
    assert main(["bench", "--out", str(tmp_path), "--steps", "2", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "| 15 runs (5 seeds x plain, 8NN, 16NN), fused |" not in said  # without the plain script
    assert "| OSAKD step, memory of 50,000 x 10, LeNet |" in said
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert len(record["seconds_per_step"]["lenet plain"]) == 1
    assert record["steps"] == 2
    assert record["made_by"]["torch"] == torch.__version__
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".svg"}


def test_every_contender_is_built_from_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = run._groups(CPU, ROOT / "benchmarks" / "plain_script.py", 10)
    names = [name for group in groups.values() for name in group]
    assert len(names) == len(set(names))
    assert {f"replicas {count}" for count in (1, 3, 5, 15, 45)} <= set(names)
    assert all(seeds * methods == count for count, (seeds, methods) in run.REPLICAS.items())
    assert {f"search {rows}" for rows in (10_000, 50_000, 200_000, 1_000_000)} <= set(names)


def test_processes_of_their_own_run_at_the_same_time(few_images: None) -> None:
    assert 0 < contenders.processes(2, "plain")(1) < 60


def test_the_plain_script_prints_its_seconds() -> None:
    script = contenders.plain_script(ROOT / "benchmarks" / "plain_script.py", workers=0, threads=1, device="cpu")
    assert 0 < script(2) < 60


def test_without_a_checkout_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="needs a checkout of osakd"):
        run.run(tmp_path, "cpu", script=tmp_path / "plain_script.py", steps=1, say=print)


@pytest.mark.parametrize("where", ["a file", "/proc/nowhere/x"])
def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    (tmp_path / "a file").touch()
    assert main(["bench", "--out", str(tmp_path / where), "--device", "cpu"]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_steps_below_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--steps", "0"]) == 2
    assert "`steps` must be at least 1, got 0" in capsys.readouterr().err


def test_made_images_are_images(few_images: None) -> None:
    split = made_images(CPU)
    assert split.images.shape == (2_000, 32, 32, 3)
    assert split.images.dtype == torch.uint8
    assert len(np.unique(split.target)) == 10


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
