"""The recipe for the real Accelerate: two processes train the network of one, and checkpoints hold the memory."""

from pathlib import Path

import pytest
import torch

from tests.integrations.in_accelerate import on_rank, state_of, trained
from tests.integrations.needs import needs
from tests.losses.ranks import on_ranks, torchrun_store

needs("accelerate")
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
