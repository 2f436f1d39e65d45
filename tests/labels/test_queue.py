"""Soft labels from a queue of the latest outputs, against a list and NumPy's stable sort."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from osakd import InputError, OSAKDLoss, OutputMemory
from osakd.labels.queue import OutputQueue
from tests.references.posterior import queued, sorted_neighbours

C, K, SIZE = 3, 5, 20
SIZES = [8, 7, 8, 3, 8, 8]
"""Of batches; the queue begins anew within the third and the fifth."""


def batches(kind: str) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    found = []
    for size in SIZES:
        logits = torch.randn(size, C, generator=generator, dtype=torch.float64)
        target = torch.randint(C, (size,), generator=generator)
        if kind == "ignored":
            target[[1, -1]] = -100
            logits[1] = torch.nan
        if kind == "probabilities":
            target = torch.rand(size, C, generator=generator, dtype=torch.float64).softmax(1)
        found.append((logits, target))
    return found


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("kind", ["classes", "ignored", "probabilities"])
def test_soft_labels_are_those_of_the_latest_outputs(kind: str, include_self: bool) -> None:
    options: dict[str, Any] = {"include_self": include_self, "pseudo_count": 0.1}
    loss = OSAKDLoss(C, K, pool="queue", queue_size=SIZE, **options).double()
    seen = []
    for logits, target in batches(kind):
        used: Tensor = torch.ones(len(target), dtype=torch.bool) if kind == "probabilities" else target >= 0
        shares = target if kind == "probabilities" else F.one_hot(target.clamp(min=0), C).double()
        seen.append((logits.softmax(1).numpy(), shares.numpy(), used.tolist()))
        outputs, votes = queued(SIZE, seen)
        first = len(outputs) - int(used.sum())
        itself = torch.where(used, first + used.cumsum(0) - 1, -1).numpy()
        near = sorted_neighbours(seen[-1][0], outputs, None if include_self else itself)
        expected = np.stack([votes[rows[:K]].sum(0) + 0.1 for rows in near])
        expected /= expected.sum(1, keepdims=True)
        found = loss.soft_labels(logits, target)
        np.testing.assert_allclose(found[used].numpy(), expected[used.numpy()], rtol=1e-12)


def test_the_votes_of_a_sample_itself_do_not_tell_how_reliable_the_queue_is() -> None:
    """Every sample is its own only neighbour of its class."""
    loss = OSAKDLoss(C, k=2, pool="queue", queue_size=SIZE, space="logits")
    posterior = loss.posterior(
        torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [9, 0, 0], [9.1, 0, 0]]), torch.tensor([0, 1, 0, 1])
    )
    assert posterior.votes.classes.tolist() == [[1, 1, 0]] * 4
    assert posterior.reliability() == 0


def test_in_eval_mode_the_queue_is_only_searched() -> None:
    loss = OSAKDLoss(2, k=2, pool="queue", queue_size=4, space="logits", pseudo_count=0.0).eval()
    assert loss.soft_labels(torch.eye(2), torch.tensor([0, 1])).tolist() == [[1, 0], [0, 1]]  # nothing is known yet
    loss.train()(torch.eye(2).repeat(2, 1)[:3], torch.tensor([0, 1, 0]))
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    assert loss.eval().soft_labels(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).tolist() == [[1.0, 0.0]]
    loss(torch.eye(2), torch.tensor([0, 1]))
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_a_loaded_loss_goes_on_where_the_other_one_stopped() -> None:
    whole, resumed = (OSAKDLoss(C, K, pool="queue", queue_size=SIZE).double() for _ in range(2))
    *earlier, last = batches("ignored")
    for logits, target in earlier:
        whole(logits, target)
    resumed.load_state_dict(whole.state_dict())
    assert torch.equal(resumed.soft_labels(*last), whole.soft_labels(*last))
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queue_size": 7, "k": 2}, "The queue holds 7 samples, fewer than a batch of 8: take a larger `queue_size`"),
        ({"queue_size": 0}, "`queue_size` must be at least 1"),
        ({"queue_size": 8, "k": 9}, r"`k` must be between 1 and 8 \(8 samples in the queue\)"),
        pytest.param({"pool": "Queue"}, "Unknown pool 'Queue'; did you mean", marks=pytest.mark.unchecked),
        ({"memory": OutputMemory(8, C)}, "searches a memory or a queue"),
    ],
)
def test_what_a_queue_cannot_hold_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        OSAKDLoss(C, **({"pool": "queue"} | options))(*batches("classes")[0])


def test_prints_its_size() -> None:
    assert str(OutputQueue(5, 3)) == "OutputQueue(size=5, num_classes=3)"
