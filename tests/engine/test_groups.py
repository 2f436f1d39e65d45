"""What does not fit into memory together is trained in several groups, and says what it needs."""

from pathlib import Path
from typing import Any

import pytest
import torch

from osakd.data.sources import load_data
from osakd.engine import groups, loop, train
from osakd.engine.build import build
from osakd.engine.config import Options, configure
from osakd.engine.executors.measure import memory_mib
from osakd.engine.groups import replicas_that_fit, split_group
from osakd.records import read_result
from tests.contracts.replicas import method_of, plans_of, replicas

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        (100, [[0, 1, 2, 3, 4, 5]]),
        (5, [[0, 1, 2, 3], [4, 5]]),
        (2, [[0, 1], [2, 3], [4, 5]]),
        (1, [[0], [1], [2], [3], [4], [5]]),
    ],
)
def test_groups_hold_whole_seeds_while_one_fits(tmp_path: Path, fit: int, expected: list[list[int]]) -> None:
    folders = [tmp_path / str(number) for number in range(6)]  # three seeds of two methods
    assert split_group(folders, 3, fit, CPU) == expected


def test_seeds_that_stopped_at_different_epochs_go_on_in_groups_of_their_own(tmp_path: Path) -> None:
    plans = plans_of(tmp_path, epochs=1)
    assert train.run_together(plans[:2], loop.Callback()) == {}
    assert split_group([plan.folder for plan in plans], 2, 100, CPU) == [[0, 1], [2, 3]]


def test_runs_in_several_groups_are_the_runs_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = (plans_of(tmp_path / name, epochs=2) for name in ("whole", "parts"))
    train.run_together(whole, loop.Callback())
    monkeypatch.setattr(train, "replicas_that_fit", lambda *_: 1)
    train.run_together(parts, loop.Callback())
    for one, other in zip(whole, parts, strict=True):
        expected, found = read_result(one.folder), read_result(other.folder)
        assert "(1 replicas)" in found.environment["executor"]
        assert found.last["train"] == pytest.approx(expected.last["train"], abs=1e-4)


def test_the_memory_of_a_replica_grows_with_the_batch_and_the_memory() -> None:
    methods = [method_of("plain", 0, "residual")]
    small, large = (memory_mib(replicas(methods, batch_size=n)) for n in (64, 256))
    assert 2.5 < large / small < 4.5
    memory = {"name": "osakd", "k": 5, "pool": "memory"}
    more = memory_mib(replicas([method_of(memory, 0, "residual")]))
    rows = 600 * (10 * 4 + 8 + 1)
    assert more >= small + rows / 2**20


def test_as_many_fit_as_the_free_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data("digits")
    method = build(configure(data, "plain", 0, Options(deploy="last")), data, CPU, Path())
    before: Any = {name: value.clone() for name, value in method.state_dict().items()}
    mib = memory_mib(replicas([method]))
    monkeypatch.setattr(groups, "_free_bytes", lambda _: int(10.1 * mib * 2**20))
    assert replicas_that_fit(mib, CPU) == 8  # 80 % of it
    monkeypatch.setattr(groups, "_free_bytes", lambda _: 1)
    assert replicas_that_fit(mib, CPU) == 1
    assert all(torch.equal(before[name], value) for name, value in method.state_dict().items())
