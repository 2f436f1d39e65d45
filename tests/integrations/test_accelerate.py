"""The recipe for the real Accelerate: two processes train the network of one, and checkpoints hold the memory."""

from pathlib import Path

import pytest
import torch

from tests.integrations.in_accelerate import on_rank, state_of, trained
from tests.integrations.pages import PAGE, blocks, run
from tests.losses.ranks import on_ranks, torchrun_store
from tests.needs import needs

AcceleratorState = needs("accelerate.state").AcceleratorState
pytestmark = pytest.mark.xdist_group("accelerate")


def test_two_processes_train_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = trained(1)
    store = torchrun_store()
    ranks = on_ranks(2, on_rank, store.port, preload=["accelerate", "tests.integrations.in_accelerate"])
    for rank in ranks:
        assert rank["processes"] == 2
        torch.testing.assert_close(rank["trained"], state_of(one), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(rank["trained"], ranks[0]["trained"], rtol=0, atol=0)
        torch.testing.assert_close(rank["loaded"], rank["trained"], rtol=0, atol=0)
        assert rank["trained"]["memory.valid"].all()


@pytest.mark.parametrize("more", ["soft_weight=0.0, ", ""])
def test_micro_batches_train_what_one_batch_does(more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly without neighbours, whose outputs are those of the latest call; with them the accuracy is as good."""
    monkeypatch.chdir(tmp_path)
    ends = []
    for micro_batches in (1, 4):
        AcceleratorState._reset_state(reset_partial_state=True)
        ends.append(trained(1, micro_batches, more))
    if more:
        torch.testing.assert_close(ends[1]["network"].state_dict(), ends[0]["network"].state_dict())
    else:
        images, target = (torch.cat(parts) for parts in zip(*ends[0]["held_out"], strict=True))
        one, four = ((names["network"](images).argmax(1) == target).double().mean() for names in ends)
        assert four > one - 0.03


def test_mixed_precision_and_gradient_accumulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)
    options = 'mixed_precision="bf16", gradient_accumulation_steps=4'
    assert all(f"`{option}`" in PAGE for option in options.split(", "))
    (script,) = blocks("Accelerate")
    names = run(script.replace("Accelerator()", f"Accelerator(cpu=True, {options})"))
    assert names["optimizer"].gradient_state.num_steps == 4
    assert names["loss"].memory.valid.all()
    loss = names["loss"].eval()
    with torch.no_grad():
        images, target = next(iter(names["held_out"]))
        logits = names["network"](images)
    assert logits.dtype == torch.float32
    assert loss.terms(logits, target).hard < torch.tensor(10).log()
