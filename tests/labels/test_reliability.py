"""How reliable soft labels are, against loops; the running mean; the weight that the loss gives to its soft term."""

import copy
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from osakd import InputError, OSAKDLoss, OutputMemory, Reliability
from osakd.labels.reliability import explained, log_scores
from tests.references.posterior import sorted_neighbours

N, C, K = 16, 3, 5


def explained_entropy(votes: torch.Tensor, target: torch.Tensor, used: torch.Tensor | None = None) -> torch.Tensor:
    return explained(log_scores(votes, target, used))


COUNTS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]


def by_loops(votes: np.ndarray, target: list[int], counts: list[float] = COUNTS) -> float:
    """The mean over the classes of the log scores of the votes, as a share of the entropy; that of the best count."""
    shares = []
    for count in counts:
        scores: dict[int, list[float]] = {}
        for row, label in zip(votes, target, strict=True):
            scores.setdefault(label, []).append(log((row[label] + count) / (row.sum() + count * len(row))))
        means = [sum(own) / len(own) for own in scores.values()]
        shares.append(min(max(1 + sum(means) / len(means) / log(len(means)), 0.0), 1.0))
    return max(shares)


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
    assert 0.05 < expected < 0.97
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
    votes = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 2.0]], dtype=torch.float64)
    target = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    shares = []
    for count in COUNTS:
        first, *second = (log((own + count) / (4 + 3 * count)) for own in (3, 1, 2))
        shares.append(1 + (first + (0.3 * second[0] + second[1]) / 1.3) / 2 / log(2))
    assert 0.05 < max(shares) < 0.95
    assert explained_entropy(votes, target).item() == pytest.approx(max(shares))
    classes = torch.tensor([0, 1])
    torch.testing.assert_close(
        explained_entropy(votes, F.one_hot(classes, 3).double()), explained_entropy(votes, classes)
    )


@pytest.mark.parametrize("shares", [[0.9, 0.1], [0.99, 0.01], [0.91, *[0.01] * 9]])
def test_votes_that_only_repeat_the_frequencies_of_the_classes_know_nothing(shares: list[float]) -> None:
    target = torch.arange(len(shares)).repeat_interleave(torch.tensor([round(400 * share) for share in shares]))
    votes = 8 * torch.tensor(shares).expand(len(target), -1)
    assert explained_entropy(votes, target) == 0
    generator = torch.Generator().manual_seed(0)
    loss = OSAKDLoss(len(shares))
    for _ in range(40):
        rows = torch.randperm(len(target), generator=generator)[:64]
        loss(torch.randn(64, len(shares), generator=generator), target[rows])
    assert loss.reliability.value < 0.1
    known = F.one_hot(target, len(shares)).float()
    assert explained_entropy(8 * known, target) > 0.9


def test_a_batch_of_one_class_says_nothing() -> None:
    assert explained_entropy(torch.tensor([[8.0, 0.0]]), torch.tensor([0])) == 0
    assert explained_entropy(torch.tensor([[8.0, 0.0]] * 2), torch.tensor([0, 1]), torch.tensor([True, False])) == 0


def test_where_no_neighbour_is_wrong_many_classes_are_known_as_well() -> None:
    found = [explained_entropy(7.0 * torch.eye(classes), torch.arange(classes)).item() for classes in (10, 100, 1000)]
    assert min(found) > 0.85


def test_votes_that_are_right_three_times_in_ten_know_something_of_sixteen_classes() -> None:
    """Scored as certainties they would count as less than a guess: a sample without a vote for its class costs more."""
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(1600) % 16
    wrong = (target + torch.randint(1, 16, (1600,), generator=generator)) % 16
    votes = 8 * F.one_hot(torch.where(torch.arange(1600) % 10 < 3, target, wrong), 16).double()
    assert by_loops(votes.numpy(), target.tolist(), [1 / 16]) == 0
    assert explained_entropy(votes, target).item() == pytest.approx(by_loops(votes.numpy(), target.tolist()))
    assert explained_entropy(votes, target) > 0.05
    assert explained(log_scores(votes, F.one_hot(target, 16).double(), None, [1 / 16])) == 0


BATCHES = [(torch.tensor([3, 4, 2, 4]), [0, 0, 1, 0]), (torch.tensor([4, 3]), [1, 0]), (torch.tensor([2, 4]), [0, 0])]
"""Of two classes: how many of four votes are for each sample's class, and its class; the last batch has one class."""


def scores_of(right: torch.Tensor, target: list[int]) -> torch.Tensor:
    own = torch.tensor(target)
    one_hot = F.one_hot(own, 2).double()
    return log_scores(torch.where(one_hot > 0, right[:, None], 4 - right[:, None]).double(), one_hot, None, [0.1])


def test_it_is_that_of_the_latest_batches_in_which_every_class_counts_the_same() -> None:
    reliability = Reliability(momentum=0.9, power=1.0, pseudo_counts=[0.1]).resize(2).double()
    assert reliability.value == 0
    sums, samples = [0.0, 0.0], [0.0, 0.0]
    for right, target in BATCHES:
        sums, samples = [0.9 * value for value in sums], [0.9 * value for value in samples]
        for votes, label in zip(right.tolist(), target, strict=True):
            sums[label] += log((votes + 0.1) / 4.2)
            samples[label] += 1
        expected = max(1 + sum(total / count for total, count in zip(sums, samples, strict=True)) / 2 / log(2), 0)
        assert reliability(scores_of(right, target)).item() == pytest.approx(expected)
    assert expected > 0.05
    reliability.eval()
    assert reliability(scores_of(torch.tensor([0, 0]), [0, 1])).item() == pytest.approx(expected)
    assert reliability.state_dict()["scores"].flatten().tolist() == pytest.approx([*sums, *samples])
    with pytest.raises(InputError, match=r"`momentum` .* below 1, got 1\.0"):
        Reliability(momentum=1.0)
    with pytest.raises(InputError, match="`pseudo_counts` must be above 0"):
        Reliability(pseudo_counts=[0.1, 0.0])


def test_a_power_makes_little_knowledge_count_less_but_is_no_part_of_the_value() -> None:
    squared, plain = (
        Reliability(momentum=0.5, power=power, pseudo_counts=[0.1]).resize(2).double() for power in (2.0, 1.0)
    )
    for right, target in BATCHES:
        value = plain(scores_of(right, target)).item()
        assert squared(scores_of(right, target)).item() == pytest.approx(value**2)
        assert squared.value.item() == pytest.approx(value)
    for power in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match="`power` must be"):
            Reliability(power=power)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("balance", ["additive", "convex", "convex_reversed"])
def test_it_weights_the_soft_term(balance: Any, power: float) -> None:
    loss = OSAKDLoss(C, K, 0.7, balance=balance, reliability=Reliability(power=power)).double()
    plain = OSAKDLoss(C, K, 0.7, balance=balance)
    scores = torch.zeros(len(COUNTS) + 1, C, dtype=torch.float64)
    for seed in range(3):
        logits, target = batch(seed)
        terms, unweighted = loss.terms(logits, target), plain.terms(logits, target)
        scores = 0.9 * scores + plain.posterior(logits, target).scores()
        expected = explained(scores).item()
        soft = {"additive": 0.7, "convex": 0.7, "convex_reversed": 0.3}[balance] * expected**power
        hard = 1.0 if balance == "additive" else 1 - soft
        torch.testing.assert_close(terms.soft, unweighted.soft)
        assert terms.soft_weight.item() == pytest.approx(soft)
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
