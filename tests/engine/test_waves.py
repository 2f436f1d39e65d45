"""What does not fit into memory together runs in waves, and says what it needs."""

from pathlib import Path
from typing import Any

import pytest
import torch

from osakd.data.sources import load_data
from osakd.engine import loop, train
from osakd.engine import waves as module
from osakd.engine.build import build
from osakd.engine.config import Options, configure
from osakd.engine.executors.measure import replica_bytes
from osakd.engine.executors.policy import Sharing
from osakd.engine.waves import memory_mib, replicas_that_fit, waves
from osakd.records import read_result
from tests.contracts.replicas import method_of, planned, replicas, spec

CPU = torch.device("cpu")
CHANNELS = Sharing(("fused/channels",), optional=False)


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        (100, [[0, 1, 2, 3, 4, 5]]),
        (5, [[0, 1, 2, 3], [4, 5]]),
        (2, [[0, 1], [2, 3], [4, 5]]),
        (1, [[0], [1], [2], [3], [4], [5]]),
    ],
)
def test_waves_hold_whole_seeds_while_one_fits(tmp_path: Path, fit: int, expected: list[list[int]]) -> None:
    folders = [tmp_path / str(number) for number in range(6)]  # three seeds of two methods
    assert waves(folders, 3, fit, CPU) == expected


def test_seeds_that_stopped_at_different_epochs_go_on_in_waves_of_their_own(tmp_path: Path) -> None:
    plans = planned(tmp_path, epochs=1)
    assert train.train_fused(plans[:2], device=CPU, callback=loop.Callback(), sharing=CHANNELS) == {}
    assert waves([plan.folder for plan in plans], 2, 100, CPU) == [[0, 1], [2, 3]]


def test_runs_in_waves_are_the_runs_in_one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = (planned(tmp_path / name, epochs=2) for name in ("whole", "parts"))
    train.train_fused(whole, device=CPU, callback=loop.Callback(), sharing=CHANNELS)
    monkeypatch.setattr(train, "replicas_that_fit", lambda *_: 1)
    train.train_fused(parts, device=CPU, callback=loop.Callback(), sharing=CHANNELS)
    for one, other in zip(whole, parts, strict=True):
        expected, found = read_result(one.folder), read_result(other.folder)
        assert expected is not None
        assert found is not None
        assert "(1 replicas;" in found.environment["executor"]
        assert found.last["train"] == pytest.approx(expected.last["train"], abs=1e-4)


def test_bytes_of_a_replica_grow_with_the_batch_and_the_memory() -> None:
    plain = replicas([method_of("plain", 0, "residual")])
    small, large = (replica_bytes(plain, spec(batch_size=n)) for n in (64, 256))
    assert 2.5 < large / small < 4.5
    memory = {"name": "osakd", "k": 5, "pool": "memory"}
    more = replica_bytes(replicas([method_of(memory, 0, "residual")]), spec())
    rows = 600 * (10 * 4 + 8 + 1)
    assert more >= small + rows


def test_as_many_fit_as_the_free_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data("digits")
    built = build(configure(data, "plain", 0, Options()), data, CPU, Path())
    before: Any = {name: value.clone() for name, value in built.method.state_dict().items()}
    mib = memory_mib(replicas([built.method]), spec())
    needed = replica_bytes(replicas([built.method]), spec())
    assert mib == pytest.approx(needed / 2**20, abs=0.001)
    monkeypatch.setattr(module, "_free_bytes", lambda _: int(10.1 * needed))
    assert replicas_that_fit(mib, CPU) == 8  # 80 % of it
    monkeypatch.setattr(module, "_free_bytes", lambda _: 1)
    assert replicas_that_fit(mib, CPU) == 1
    assert all(torch.equal(before[name], value) for name, value in built.method.state_dict().items())


def test_the_share_of_a_search_is_predicted_before_a_run_with_a_memory(tmp_path: Path) -> None:
    said: list[str] = []

    class Listen(loop.Callback):
        def on_train_begin(self, config: Any, steps: int, done: int, notes: Any) -> None:
            said.extend(note for note in notes if not note.startswith("Classes: "))

    for method in ("osakd", {"name": "osakd", "k": 5, "pool": "memory"}):
        data = load_data("digits")
        config = configure(data, method, 0, Options(epochs=1))
        folder = tmp_path / str(len(said))
        train.train_run(config, data, folder, resume=False, device=CPU, callback=Listen())
    assert said[:2] == ["Executor: serial/native, a single run on the CPU."] * 2
    assert len(said) == 3
    assert said[2].startswith("The neighbour search among 600 outputs is predicted to take ")
    plans = planned(tmp_path / "fused", ["plain", {"name": "osakd", "k": 5, "pool": "memory"}], epochs=1)
    train.train_fused(plans, device=CPU, callback=Listen(), sharing=CHANNELS)
    assert said[3].startswith("Executor: fused/channels (4 replicas; ")
    assert said[4].startswith("The neighbour search among 600 outputs is predicted to take ")
