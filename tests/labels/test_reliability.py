"""How reliable soft labels are, against loops; the running mean; the weight that the loss gives to its soft term."""

import copy
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from osakd import InputError, OSAKDLoss, OutputMemory, Reliability
from osakd.labels import explained_entropy
from tests.references.posterior import sorted_neighbours

N, C, K = 16, 3, 5


def by_loops(votes: np.ndarray, target: list[int]) -> float:
    """The mean over the samples of the log score of the votes, as a share of the entropy."""
    scores = [log((row[label] + 0.1) / (row.sum() + 0.1 * len(row))) for row, label in zip(votes, target, strict=True)]
    return min(max(1 + sum(scores) / len(scores) / log(votes.shape[1]), 0.0), 1.0)


def batch(seed: int = 0, *, apart: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that know something of the classes."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.arange(N) % C
    return torch.randn(N, C, generator=generator, dtype=torch.float64) + apart * F.one_hot(target, C), target


def votes_of_others(logits: torch.Tensor, target: torch.Tensor, k: int, *, include_self: bool) -> np.ndarray:
    points = logits.softmax(1).numpy()
    exclude = None if include_self else np.arange(len(points))
    votes = np.zeros((len(points), C))
    for row, near in enumerate(sorted_neighbours(points, points, exclude)):
        for other in near[:k]:
            votes[row, target[other]] += other != row
    return votes


@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("memory", [False, True])
def test_it_is_the_log_score_of_the_other_samples_votes(include_self: bool, memory: bool) -> None:
    logits, target = batch()
    loss = OSAKDLoss(C, K, include_self=include_self, memory=OutputMemory(N, C).double() if memory else None)
    found = loss.posterior(logits, target, torch.arange(N)).reliability()
    expected = by_loops(votes_of_others(logits, target, K, include_self=include_self), target.tolist())
    assert 0.05 < expected < 0.95
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_ignored_samples_do_not_count() -> None:
    logits, target = batch()
    ignored = target.clone()
    ignored[[2, 9]] = -100
    kept = ignored != -100
    loss = OSAKDLoss(C, K, include_self=False)
    alone = loss.posterior(logits[kept], target[kept]).reliability()
    torch.testing.assert_close(loss.posterior(logits, ignored).reliability(), alone)
    assert loss.posterior(logits, torch.full_like(target, -100)).reliability() == 0


def test_probabilities_are_scored_class_by_class() -> None:
    votes, target = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[0.7, 0.0, 0.3]])
    expected = 1 + (0.7 * log(3.1 / 4.3) + 0.3 * log(0.1 / 4.3)) / log(3)
    assert explained_entropy(votes, target).item() == pytest.approx(max(expected, 0))
    torch.testing.assert_close(
        explained_entropy(votes, torch.tensor([[1.0, 0.0, 0.0]])), explained_entropy(votes, torch.tensor([0]))
    )


def test_it_is_a_running_mean_from_zero() -> None:
    reliability, expected = Reliability(momentum=0.9, power=1.0), 0.0
    for now in (0.2, 0.9, 0.4):
        expected = 0.9 * expected + 0.1 * now
        assert reliability(torch.tensor(now)).item() == pytest.approx(expected)
    reliability.eval()
    assert reliability(torch.tensor(1.0)).item() == pytest.approx(expected)
    assert reliability.state_dict()["value"].item() == pytest.approx(expected)
    with pytest.raises(InputError, match=r"`momentum` must be at least 0 and below 1, got 1.0"):
        Reliability(momentum=1.0)


def test_a_power_makes_little_knowledge_count_less_but_is_no_part_of_the_mean() -> None:
    reliability, mean = Reliability(momentum=0.5, power=2.0), 0.0
    for now in (0.2, 0.9, 0.4):
        mean = 0.5 * mean + 0.5 * now
        assert reliability(torch.tensor(now)).item() == pytest.approx(mean**2)
    assert reliability.state_dict()["value"].item() == pytest.approx(mean)
    for power in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match=r"`power` must be above 0 and finite, got"):
            Reliability(power=power)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("balance", ["additive", "convex", "convex_reversed"])
def test_it_weights_the_soft_term(balance: Any, power: float) -> None:
    loss = OSAKDLoss(C, K, 0.7, balance=balance, reliability=Reliability(power=power))
    plain = OSAKDLoss(C, K, 0.7, balance=balance)
    expected = 0.0
    for seed in range(3):
        logits, target = batch(seed)
        terms, unweighted = loss.terms(logits, target), plain.terms(logits, target)
        expected = 0.9 * expected + 0.1 * plain.posterior(logits, target).reliability().item()
        soft = {"additive": 0.7, "convex": 0.7, "convex_reversed": 0.3}[balance] * expected**power
        hard = 1.0 if balance == "additive" else 1 - soft
        torch.testing.assert_close(terms.soft, unweighted.soft)
        assert terms.total.item() == pytest.approx(hard * unweighted.hard.item() + soft * unweighted.soft.item())
    before = copy.deepcopy(loss.eval().state_dict())
    loss(*batch(9))
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_a_gradient_can_be_taken_after_the_next_step() -> None:
    loss = OSAKDLoss(C, K, reliability=Reliability())
    logits, target = batch()
    first, second = (loss(logits.requires_grad_(), target) for _ in range(2))
    (first + second).backward()
    assert logits.grad is not None
