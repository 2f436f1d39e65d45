"""Evidence that is gathered over the epochs, against loops; what is read, written and refused."""

import copy
from math import log
from typing import Any

import numpy as np
import pytest
import torch

from osakd import DirichletEvidence, InputError, LabelAverage, OSAKDLoss, Reliability
from osakd.labels.reliability import explained, log_scores
from tests.references.posterior import posterior, sorted_neighbours

M, N, C, K = 20, 12, 3, 4


@pytest.mark.parametrize("keep_prior", [False, True])
def test_it_gathers_votes_and_forgets(keep_prior: bool) -> None:
    generator = np.random.default_rng(0)
    evidence = DirichletEvidence(5, C, prior=3.0, forgetting=0.8, keep_prior=keep_prior)
    target = generator.integers(0, C, 5)
    start = {sample: [3.0 * (label == own) for label in range(C)] for sample, own in enumerate(target)}
    kept, again = dict(start), 0.2 if keep_prior else 0.0
    for _ in range(30):
        index = generator.choice(5, size=3, replace=False)
        votes = generator.dirichlet(np.ones(C), size=3).astype(np.float32)
        found = evidence(*(torch.from_numpy(one) for one in (index, votes, target[index])))
        for row, sample in enumerate(index.tolist()):
            each = zip(kept[sample], start[sample], votes[row].tolist(), strict=True)
            kept[sample] = [0.8 * a + again * own + v for a, own, v in each]
            np.testing.assert_allclose(found[row].numpy(), np.array(kept[sample]) / sum(kept[sample]), rtol=1e-5)
    np.testing.assert_allclose(evidence.counts.numpy(), np.array(list(kept.values())), rtol=1e-5)
    own_class = [kept[sample][own] for sample, own in enumerate(target)]
    assert (min(own_class) > 3.0) == keep_prior


def loss_of(reliability: Reliability | bool = False) -> OSAKDLoss:
    evidence = DirichletEvidence(M, C, prior=2.0, forgetting=0.9)
    # Weight and balance are without effect.
    return OSAKDLoss(C, K, 5.0, include_self=False, evidence=evidence, pseudo_count=0.0, reliability=reliability)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_cross_entropy_with_the_expectation_less_its_entropy(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    classes = torch.arange(M) % C
    loss = loss_of(Reliability(power=1.0) if weighted else False)
    kept = {sample: [2.0 * (label == int(own)) for label in range(C)] for sample, own in enumerate(classes)}
    scores = torch.zeros(2, C, dtype=torch.float64)
    for _ in range(4):
        index = torch.randperm(M, generator=generator)[:N]
        logits, target = torch.randn(N, C, generator=generator, dtype=torch.float64), classes[index]
        logits = logits + torch.nn.functional.one_hot(target, C)
        points = logits.softmax(1).numpy()
        neighbours = sorted_neighbours(points, points, np.arange(N))
        labels = posterior(neighbours, target.numpy(), C, K)
        scores = 0.9 * scores + log_scores(torch.from_numpy(K * labels), target)
        strength, expected = (float(explained(scores)) if weighted else 1.0), 0.0
        for row, sample in enumerate(index.tolist()):
            kept[sample] = [0.9 * a + strength * q for a, q in zip(kept[sample], labels[row], strict=True)]
            shares = [a / sum(kept[sample]) for a in kept[sample]]
            expected += sum(q * (log(q) - log(p)) for q, p in zip(shares, points[row], strict=True) if q) / N
        terms = loss.terms(logits, target, index)
        assert terms.total.item() == pytest.approx(expected, rel=1e-5)  # the evidence is kept in float32
        assert terms.weighted_hard == 0


def test_its_gradient_is_that_of_the_cross_entropy_with_the_expectation() -> None:
    logits = torch.randn(N, C, generator=torch.Generator().manual_seed(0), requires_grad=True)
    terms = loss_of().terms(logits, torch.arange(N) % C, torch.arange(N))
    (found,) = torch.autograd.grad(terms.total, logits)
    (expected,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, terms.soft_labels), logits)
    torch.testing.assert_close(found, expected)


def test_in_eval_mode_nothing_is_written_and_strangers_are_as_on_a_first_visit() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, target, index = torch.randn(N, C, generator=generator), torch.arange(N) % C, torch.arange(N)
    loss = loss_of()
    first = loss.terms(logits, target, index).total
    loss.terms(logits, target, index)
    before = copy.deepcopy(loss.eval().state_dict())
    torch.testing.assert_close(loss(logits, target), first)
    assert loss(logits, target, index) != first
    torch.testing.assert_close(loss(logits, target, index), loss(logits, target, index))
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_an_ignored_sample_is_not_remembered() -> None:
    loss, target = loss_of(), torch.arange(N) % C
    target[4] = -100
    loss(torch.randn(N, C, generator=torch.Generator().manual_seed(0)), target, torch.arange(N))
    assert loss.evidence is not None
    assert (loss.evidence.counts.sum(1) > 0).tolist() == [row < N and row != 4 for row in range(M)]


def test_a_state_is_loaded_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    target, index = torch.arange(N) % C, torch.arange(N)
    batches = [torch.randn(N, C, generator=generator) for _ in range(3)]
    whole, resumed = loss_of(Reliability()), loss_of(Reliability())
    for logits in batches[:2]:
        whole(logits, target, index)
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    assert torch.equal(resumed(batches[2], target, index), whole(batches[2], target, index))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": 0.0}, r"`prior` must be above 0, got 0.0"),
        ({"forgetting": 0.0}, r"`forgetting` must be above 0 and at most 1, got 0.0"),
        ({"forgetting": 1.5}, r"`forgetting` must be above 0 and at most 1, got 1.5"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DirichletEvidence(**{"num_samples": 4, "num_classes": 2} | options)


def test_what_the_loss_refuses() -> None:
    logits, target = torch.zeros(N, C), torch.arange(N) % C
    with pytest.raises(InputError, match="evidence needs the samples' `index` in training: wrap the training set in"):
        loss_of()(logits, target)
    with pytest.raises(InputError, match=r"`index` must lie between 0 and 19 .*got 20"):
        loss_of()(logits, target, torch.arange(N) + 9)
    with pytest.raises(InputError, match="is for 4 classes, but `num_classes` is 3"):
        OSAKDLoss(3, evidence=DirichletEvidence(M, 4))
    with pytest.raises(InputError, match="`average` and `evidence` both gather soft labels"):
        OSAKDLoss(3, evidence=DirichletEvidence(M, 3), average=LabelAverage(M, 3))
