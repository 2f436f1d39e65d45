"""Soft labels averaged over the epochs, against loops; what is read, written and refused."""

import copy

import numpy as np
import pytest
import torch

from osakd import InputError, LabelAverage, OSAKDLoss
from osakd.labels.posterior import knn_posterior


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
def test_it_is_a_plain_mean_at_first_and_an_exponential_one_later(momentum: float) -> None:
    generator = np.random.default_rng(0)
    average = LabelAverage(5, 3, momentum=momentum)
    kept: dict[int, tuple[int, np.ndarray]] = {}
    for _ in range(40):
        index = generator.choice(5, size=3, replace=False)
        labels = generator.dirichlet(np.ones(3), size=3).astype(np.float32)
        found = average(torch.from_numpy(index), torch.from_numpy(labels))
        for row, (sample, label) in enumerate(zip(index.tolist(), labels, strict=True)):
            count, before = kept.get(sample, (0, np.zeros(3)))
            weight = min(momentum, count / (count + 1))
            kept[sample] = (count + 1, weight * before + (1 - weight) * label)
            np.testing.assert_allclose(found[row].numpy(), kept[sample][1], atol=1e-6)
    np.testing.assert_allclose(average.labels.sum(1).numpy(), 1, atol=1e-5)


def test_in_eval_mode_nothing_is_written() -> None:
    average = LabelAverage(4, 2)
    index = torch.tensor([1])
    average(index, torch.tensor([[1.0, 0.0]]))
    before = copy.deepcopy(average.state_dict())
    assert average.eval()(index, torch.tensor([[0.0, 1.0]])).tolist() == [[0.5, 0.5]]
    assert all(torch.equal(tensor, before[name]) for name, tensor in average.state_dict().items())


def test_the_loss_averages_the_posterior_with_its_prior() -> None:
    torch.manual_seed(0)
    loss = OSAKDLoss(3, k=2, include_self=False, pseudo_count=0.5, average=LabelAverage(20, 3, momentum=0.9))
    target = torch.randint(3, (20,))
    expected = []
    for _ in range(3):
        logits = torch.randn(20, 3)
        found = loss.soft_labels(logits, target, torch.arange(20))
        outputs = logits.softmax(1)
        posterior = knn_posterior(outputs, outputs, target, num_classes=3, k=2, exclude=torch.arange(20))
        expected.append((2 * posterior + 0.5) / 3.5)
        torch.testing.assert_close(found, torch.stack(expected).mean(0))


def test_nothing_is_kept_of_ignored_samples() -> None:
    loss = OSAKDLoss(4, k=2, average=LabelAverage(3, 4))
    loss.soft_labels(torch.eye(4)[:3], torch.full((3,), -100), torch.arange(3))
    assert not loss.average.labels.any()
    assert not loss.average.counts.any()
    loss.soft_labels(torch.eye(4)[:3], torch.tensor([3, 3, -100]), torch.arange(3))
    assert loss.average.counts.tolist() == [1, 1, 0]
    assert loss.average.labels.argmax(1).tolist()[:2] == [3, 3]


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"`momentum` must be at least 0 and below 1, got 1.0"):
        LabelAverage(3, 3, momentum=1.0)
    with pytest.raises(InputError, match=r"`pseudo_count` must be at least 0 and finite, got -1.0"):
        OSAKDLoss(3, pseudo_count=-1.0)
    with pytest.raises(InputError, match="is for 4 classes, but `num_classes` is 3"):
        OSAKDLoss(3, average=LabelAverage(10, 4))
    with pytest.raises(InputError, match="needs the samples' `index` in training"):
        OSAKDLoss(2, k=2, average=LabelAverage(4, 2))(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
