"""Several processes train one run: every method as one process does, and resumed bit for bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

import osakd
from osakd.engine.callbacks import Callback
from osakd.records import read_metrics, read_result
from tests.engine import ranks
from tests.engine.ranks import LONG, RUN, SHORT
from tests.engine.runs import curve, same_weights, weights
from tests.losses.ranks import on_ranks

pytestmark = pytest.mark.xdist_group("ranks")
Results = list[dict[str, Any]]


@pytest.fixture(scope="module")
def one() -> list[dict[str, Any]]:
    """Training in one process."""
    return ranks.train(0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("several")


@pytest.fixture(scope="module")
def two(folder: Path) -> Results:
    return on_ranks(2, ranks.two, str(folder / "store2"), folder)


@pytest.fixture(scope="module")
def four(folder: Path) -> Results:
    return on_ranks(4, ranks.four, str(folder / "store4"), folder)


def close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-9)


@pytest.mark.parametrize("number", range(len(LONG) + len(SHORT)), ids=lambda n: str([*LONG, *SHORT][n]))
def test_two_ranks_train_as_one_process_does(two: Results, one: list[dict[str, Any]], number: int) -> None:
    equal_training([rank["trained"][number] for rank in two], one[number])


@pytest.mark.parametrize("number", range(len(LONG)), ids=lambda n: str(LONG[n]))
def test_four_ranks_train_as_one_process_does(four: Results, one: list[dict[str, Any]], number: int) -> None:
    equal_training([rank["trained"][number] for rank in four], one[number])


def equal_training(found: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    """Weights, averages of weights, everything that is kept, parts of the loss and scores; on all ranks bit for bit."""
    first, *others = found
    for kind in ("method", "average"):
        close(first["state"][kind], expected["state"][kind])
        for other in others:
            assert all(torch.equal(other["state"][kind][name], value) for name, value in first["state"][kind].items())
    for epoch, parts in enumerate(expected["parts"]):
        assert first["parts"][epoch] == pytest.approx(parts, abs=1e-9)
    for name, scores in expected["scores"].items():
        assert first["scores"][name] == pytest.approx(scores, abs=1e-9)
    assert all(other["scores"] == first["scores"] for other in others)


def test_networks_that_a_method_does_not_name_are_computed_whole(two: Results) -> None:
    for rank in two:
        close(rank["unnamed"], ranks.unnamed("serial"))


def test_parameters_that_one_rank_does_not_use(two: Results) -> None:
    first, second = (rank["sometimes"] for rank in two)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["network.scale"] != 1
    assert torch.equal(first["network.unused"], torch.ones(3))  # no weight decay either


def test_dropout_is_drawn_by_each_rank_and_everything_else_alike(two: Results) -> None:
    first, second = (rank["random"] for rank in two)
    assert torch.equal(first["outputs"], second["outputs"])
    assert not torch.equal(first["outputs"][:2], first["outputs"][3:])
    assert torch.equal(first["afterwards"], second["afterwards"])


def test_a_stopped_run_goes_on_bit_for_bit(two: Results, folder: Path) -> None:
    assert all(rank["runs"]["same"] for rank in two)  # a finished run is not trained again
    assert {rank["runs"]["executor"] for rank in two} == {"serial/ranks-native (2 processes)"}
    assert same_weights(folder / "stopped", folder / "whole")
    assert curve(folder / "stopped") == curve(folder / "whole")
    network = "student.safetensors"
    assert (folder / "stopped" / network).read_bytes() == (folder / "whole" / network).read_bytes()


def test_a_whole_run_is_that_of_one_process(two: Results, folder: Path, tmp_path: Path) -> None:
    osakd.train("digits", **RUN, out=tmp_path)
    for row, expected in zip(read_metrics(folder / "whole"), read_metrics(tmp_path), strict=True):
        assert row["train"] == pytest.approx(expected["train"], abs=1e-4)
        assert row["test"] == pytest.approx(expected["test"], abs=1e-3)
    for name, tensor in weights(tmp_path).items():
        torch.testing.assert_close(weights(folder / "whole")[name], tensor, rtol=0, atol=1e-4)


def test_a_run_of_two_stages(two: Results, folder: Path) -> None:
    results = [read_result(folder / "stages"), read_result(folder / "stages/teacher")]
    assert [result and result.epochs for result in results] == [1, 1]


def test_another_number_of_processes_is_told(two: Results, folder: Path) -> None:
    told: list[str] = []

    class Told(Callback):
        def on_train_begin(self, config: Any, steps: int, done: int, notes: Any) -> None:
            told.extend([f"{done} epochs are done", *notes])

    osakd.train("digits", **RUN, out=folder / "given", resume=True, callbacks=[Told()])
    assert told[0] == "2 epochs are done"
    assert any("trained by 2 processes and goes on with 1: it ends with the same results to round" in it for it in told)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("other", "InputError: The processes were given different runs (seed: 0, not 1)"),
        ("fused", "InputError: The executor fused runs in one process, but several were started: start it without"),
        ("there", "already has this run: continue it with --resume"),
        ("folders", "RunError: The processes see different checkpoints (of epochs 3, 0): put the run into a folder"),
        ("batch", "InputError: `batch_size` is that of all processes together, and must be at least their number, 4"),
    ],
)
def test_what_is_refused_every_rank_is_told(
    two: Results, four: Results, folder: Path, name: str, sentence: str
) -> None:
    assert all(sentence in rank["refused"][name] for rank in (four if name == "batch" else two))
    assert not (folder / "refused").exists()


def test_who_waits_for_a_silent_rank_is_told(two: Results) -> None:
    assert two[0]["silent"].startswith("RunError: Another process of this run has ended or does not answer")
