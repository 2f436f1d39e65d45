"""What is kept of every training sample: its size, and how it is set later."""

from collections.abc import Callable

import pytest
import torch
from osakd.labels.kept import KeptPerSample

from osakd import DirichletEvidence, LabelAverage, OSAKDLoss, OutputMemory
from osakd.errors import InputError

KINDS: dict[str, Callable[[int, int], KeptPerSample]] = {
    "memory": OutputMemory,
    "average": LabelAverage,
    "evidence": DirichletEvidence,
}
each_kind = pytest.mark.parametrize("kind", KINDS)
LOGITS, TARGET = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


def loss_of(kind: str, num_samples: int) -> OSAKDLoss:
    return OSAKDLoss(3, k=2, **{kind: KINDS[kind](num_samples, 3)})


@each_kind
@pytest.mark.parametrize("sizes", [(-1, 3), (3, 0)])
def test_sizes_out_of_range_are_refused(kind: str, sizes: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"at least 0 and `num_classes` of at least 1, got {sizes[0]} and {sizes[1]}"):
        KINDS[kind](*sizes)


@each_kind
def test_resized_it_is_as_new(kind: str) -> None:
    loss = loss_of(kind, 6)
    loss(LOGITS, TARGET, torch.arange(6))
    (kept,) = loss.kept
    kept.resize(9)
    torch.testing.assert_close(kept.state_dict(), KINDS[kind](9, 3).state_dict())


@each_kind
def test_an_empty_one_takes_the_size_of_the_state_that_it_loads(kind: str) -> None:
    loss, empty = loss_of(kind, 6), loss_of(kind, 0)
    loss(LOGITS, TARGET, torch.arange(6))
    empty.load_state_dict(loss.state_dict())
    torch.testing.assert_close(empty.state_dict(), loss.state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        loss_of(kind, 7).load_state_dict(loss.state_dict())


@each_kind
def test_an_empty_one_cannot_train_and_knows_no_neighbours(kind: str) -> None:
    loss = loss_of(kind, 0)
    with pytest.raises(InputError, match="does not know the number of training samples yet: give it as `num_samples`"):
        loss(LOGITS, TARGET, torch.arange(6))
    loss.eval()
    if kind == "memory":
        assert torch.equal(loss.soft_labels(LOGITS, TARGET), torch.nn.functional.one_hot(TARGET).float())
    assert loss(LOGITS, TARGET).isfinite()
