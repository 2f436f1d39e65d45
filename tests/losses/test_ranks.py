"""One process and several that ``torch.distributed`` joins train the same network."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from osakd import OSAKDLoss
from tests.losses.ranks import (
    KINDS,
    REPEATED,
    SIZES,
    STEPS,
    everything,
    on_ranks,
    repeated_loss,
    repeated_rows,
    rows_of,
    script,
    torchrun_store,
    train,
)

pytestmark = pytest.mark.xdist_group("ranks")
each_world = pytest.mark.parametrize("world", [2, 4])
each_kind = pytest.mark.parametrize("kind", KINDS)
Results = dict[int, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def one() -> dict[str, dict[str, Any]]:
    """Training of each kind in one process."""
    return {kind: train(0, 1, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def ranks(one: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What each rank of two and of four processes gives."""
    states = {kind: one[kind]["half"] for kind in ("memory", "queue", "batch")}
    return {
        world: on_ranks(world, everything, str(tmp_path_factory.mktemp("ranks") / "store"), states) for world in (2, 4)
    }


def close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@each_world
@each_kind
def test_ranks_train_as_one_process_does(ranks: Results, one: dict[str, Any], world: int, kind: str) -> None:
    """Weights and all that is kept, after steps with equal and unequal numbers of samples."""
    found = [rank["training"][kind] for rank in ranks[world]]
    for rank in found:
        close(rank["state"], one[kind]["state"])
    # A mean is that over all samples, once it is averaged over the ranks.
    close(torch.stack([rank["losses"] for rank in found]).mean(0), one[kind]["losses"])
    for step in range(STEPS):
        close(torch.cat([rank["soft_labels"][step] for rank in found]), one[kind]["soft_labels"][step])
    assert [len(rank["soft_labels"][1]) for rank in found] == SIZES[world]


@each_world
@each_kind
def test_what_is_kept_is_equal_on_all_ranks(ranks: Results, world: int, kind: str) -> None:
    """Bit for bit, with and without a broadcast of buffers before each step."""
    first, *others = (rank["training"][kind]["state"] for rank in ranks[world])
    assert all(torch.equal(other[name], first[name]) for other in others for name in first)


@each_world
@pytest.mark.parametrize("kind", ["memory", "batch"])
def test_a_state_continues_on_another_number_of_processes(
    ranks: Results, one: dict[str, Any], world: int, kind: str
) -> None:
    close(ranks[world][0]["resumed"][kind]["state"], one[kind]["state"])
    saved = ranks[world][-1]["training"][kind]["half"]
    close(train(0, 1, kind, saved)["state"], one[kind]["state"])


@each_world
@pytest.mark.parametrize("kind", ["self", "others", "memory"])
def test_a_repeated_sample_is_one_sample(ranks: Results, world: int, kind: str) -> None:
    logits, target = (rows[:7] for rows in repeated_rows())
    loss = repeated_loss(kind)
    expected = loss.terms(logits, target, torch.arange(7)).soft_labels
    found = [rank["repeated"][kind] for rank in ranks[world]]
    close(torch.cat([rank["soft_labels"] for rank in found]), expected[REPEATED])
    for rank in found:
        close(rank["state"], loss.state_dict())


@each_world
def test_a_rank_can_stay_alone(ranks: Results, world: int) -> None:
    for rank, found in enumerate(ranks[world]):
        close(found["local"]["gather=False"], OSAKDLoss(3, k=3)(*rows_of(rank)))
    # The others have not called it: nothing waits for them in eval mode.
    close(ranks[world][0]["local"]["eval"], OSAKDLoss(3, k=3)(*rows_of(0)))


@each_world
def test_a_group_is_joined_alone(ranks: Results, world: int) -> None:
    for first in range(0, world, 2):
        logits, target = (torch.cat(part) for part in zip(rows_of(first), rows_of(first + 1), strict=True))
        found = torch.cat([ranks[world][rank]["local"]["group"] for rank in (first, first + 1)])
        close(found, OSAKDLoss(3, k=3).soft_labels(logits, target))


@each_world
def test_what_one_rank_gives_wrongly_all_refuse(ranks: Results, world: int) -> None:
    parts = {
        "index": "give every rank the samples' `index` or none",
        "kind": "targets of one kind",
        "class": "`target` must hold class indices from 0 to 2, or -100",
        "k": f"`k` must be between 1 and {6 * world}",
        "empty": "A batch of 0 samples has no neighbours: give at least 1",
        "group": "This process is not in `group`",
    }
    for rank, found in enumerate(ranks[world]):
        expected = {name: part for name, part in parts.items() if name != "group" or rank}
        assert found["refused"].keys() == expected.keys()
        assert all(part in found["refused"][name] for name, part in expected.items())


def test_the_page_s_script_runs_on_two_processes() -> None:
    page = (Path(__file__).parents[2] / "docs/several-devices.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    store = torchrun_store()
    first, second = on_ranks(2, script, store.port, code)
    for part in ("weights", "kept"):
        assert all(torch.equal(first[part][name], second[part][name]) for name in first[part])
    assert first["kept"]["memory.valid"].all()


@pytest.mark.unchecked
def test_one_process_compiles_in_one_graph() -> None:
    logits, target = rows_of(0)
    compiled = torch.compile(OSAKDLoss(3, k=3), backend="aot_eager", fullgraph=True)
    close(compiled(logits, target), OSAKDLoss(3, k=3)(logits, target))
