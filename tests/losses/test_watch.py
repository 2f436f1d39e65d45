"""The warning of a loss whose soft labels have no part in what is learnt."""

import warnings
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from osakd import OSAKDLoss
from osakd.losses import watch

TARGET = torch.arange(16) % 4
KNOWN = 9 * F.one_hot(TARGET, 4).float()
UNKNOWN = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STEPS", 5)


@pytest.mark.unchecked  # shape checks stand between the loss and its caller
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_it_warns_once(reduction: Any) -> None:
    loss = OSAKDLoss(4, k=4, soft_weight=1e-4, reduction=reduction)
    for _ in range(4):
        loss(UNKNOWN, TARGET)
    with pytest.warns(UserWarning, match=r"less than a thousandth of the loss in 5 steps.*pool queue") as warned:
        loss(UNKNOWN, TARGET)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            loss(UNKNOWN, TARGET)


@pytest.mark.parametrize("case", ["known", "eval", "weight 0", "few", "mapped"])
def test_it_is_silent(case: str) -> None:
    """Neighbours that know the classes; nothing that trains; a weight that was chosen; values that cannot be read."""
    loss = OSAKDLoss(4, k=4, soft_weight={"known": 0.9, "weight 0": 0.0}.get(case, 1e-4), reliability=case == "known")
    logits = KNOWN + UNKNOWN if case == "known" else UNKNOWN
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4 if case == "few" else 20):
            if case == "mapped":
                torch.func.vmap(lambda z: loss(z, TARGET))(logits[None].expand(3, -1, -1))
            else:
                loss.train(case != "eval")(logits, TARGET)
