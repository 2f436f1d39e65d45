"""A loss whose state was loaded goes on where the other one stopped; which k is possible; what may be observed."""

import pytest
import torch
from torch import Tensor, nn

from osakd import OSAKDLoss, OutputMemory
from osakd.errors import InputError
from osakd.losses.terms import LossParts

LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TARGET = torch.arange(6) % 3


def test_a_loaded_loss_takes_a_short_batch_as_the_last_one_of_an_epoch() -> None:
    whole, resumed = (nn.ModuleDict({"loss": OSAKDLoss(3, k=4)}) for _ in range(2))
    whole["loss"](LOGITS, TARGET)
    with pytest.raises(InputError, match="`k` must be between 1 and 2"):
        resumed["loss"](LOGITS[:2], TARGET[:2])
    resumed.load_state_dict(whole.state_dict())
    assert torch.equal(resumed["loss"](LOGITS[:2], TARGET[:2]), whole["loss"](LOGITS[:2], TARGET[:2]))


def test_k_may_be_larger_than_the_batch_but_not_than_the_memory() -> None:
    loss = OSAKDLoss(3, k=5, memory=OutputMemory(6, 3), space="logits")
    for rows in (torch.arange(3), torch.arange(3, 6)):  # micro-batches
        found = loss.soft_labels(LOGITS[rows], TARGET[rows], rows)
    assert torch.equal(found, OSAKDLoss(3, k=5, space="logits").soft_labels(LOGITS, TARGET)[3:])
    with pytest.raises(InputError, match=r"1 and 5 \(5 other samples in the memory\), got 6: take a smaller k\."):
        OSAKDLoss(3, k=6, memory=OutputMemory(6, 3), include_self=False)(LOGITS, TARGET, torch.arange(6))


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("kind", ["memory", "queue", "batch"])
def test_without_gradients_nothing_is_learnt_in_training_mode_either(kind: str, off: type[torch.no_grad]) -> None:
    more = {"memory": {"memory": OutputMemory(6, 3)}, "queue": {"pool": "queue", "queue_size": 6}}.get(kind, {})
    loss, index = OSAKDLoss(3, k=3, **more), torch.arange(6) if kind == "memory" else None
    for _ in range(3):
        loss(3 * LOGITS.sign(), TARGET, index)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    for measure in (loss, loss.soft_labels, lambda *batch: loss.measured(*batch).total):
        with off():
            found = measure(LOGITS, TARGET)
        loss.eval()
        assert torch.equal(found, measure(LOGITS, TARGET))
        assert loss.train().state_dict().keys() == before.keys()
        assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())
    loss(LOGITS, TARGET, index)
    assert any(not torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_the_parts_of_every_call_can_be_observed() -> None:
    seen: list[tuple[LossParts, Tensor]] = []
    loss = OSAKDLoss(3, k=2)
    loss.observe = lambda parts, target: seen.append((parts, target))
    total = loss(LOGITS[None].movedim(2, 1), TARGET[None])
    ((parts, target),) = seen
    assert torch.equal(parts.total, total)
    assert torch.equal(target, TARGET)
