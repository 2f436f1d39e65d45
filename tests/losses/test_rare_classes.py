"""A rare class is found as often as with cross-entropy: neighbours that know nothing of it must not count."""

import pytest
import torch
from torch import Tensor, nn

from osakd import OSAKDLoss

FEATURES = 10


def samples(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One of twenty is of the rare class, which is hard to tell from the other."""
    target = (torch.rand(number, generator=generator) < 0.05).long()
    values = torch.randn(number, FEATURES, generator=generator)
    values[:, 0] += 1.6 * target
    return values, target


def recall(loss: nn.Module, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    values, target = samples(2000, generator)
    unseen, classes = samples(8000, generator)
    network = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for _ in range(8):
        for rows in torch.randperm(len(values), generator=generator).split(64):
            optimizer.zero_grad()
            loss(network(values[rows]), target[rows]).backward()
            optimizer.step()
    found = network(unseen).argmax(1)
    return float((found[classes == 1] == 1).float().mean())


def test_a_rare_class_is_found_as_often_as_with_cross_entropy() -> None:
    weight = torch.tensor([1.0, 19.0])
    seeds = range(3)
    theirs = sum(recall(nn.CrossEntropyLoss(weight=weight), seed) for seed in seeds) / len(seeds)
    ours = sum(recall(OSAKDLoss(2, weight=weight), seed) for seed in seeds) / len(seeds)
    assert theirs > 0.6
    assert ours == pytest.approx(theirs, abs=0.05)
