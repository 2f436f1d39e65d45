"""Neighbours weighted by distance, and a prior of the classes, against loops."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from osakd import InputError, OSAKDLoss
from osakd.labels.posterior import Weights, nearness, neighbour_votes
from tests.references.posterior import sorted_neighbours


def weighted_votes(
    points: NDArray[np.float64], target: NDArray[np.integer], valid: NDArray[np.bool_], k: int, by_distance: bool
) -> NDArray[np.float64]:
    """The votes for each of 3 classes, the sample itself left out, neighbour by neighbour."""
    votes = np.zeros((len(points), 3))
    for number, rows in enumerate(sorted_neighbours(points, points, np.arange(len(points)), valid)):
        nearest = rows[:k]
        far = [float(np.linalg.norm(points[row] - points[number])) for row in nearest]
        for row, distance in zip(nearest, far, strict=True):
            flat = not by_distance or far[-1] == far[0]
            votes[number, target[row]] += 1.0 if flat else (far[-1] - distance) / (far[-1] - far[0])
    return votes


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("pseudo_count", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("masked", [False, True])
def test_the_posterior_equals_votes_neighbour_by_neighbour(weights: Weights, pseudo_count: float, masked: bool) -> None:
    generator = np.random.default_rng(1)
    points, target = generator.dirichlet(np.ones(3), size=30), generator.integers(0, 3, 30)
    points[5] = points[6] = points[7]  # ties at distance zero
    valid = generator.random(30) < 0.4 if masked else np.ones(30, bool)
    found = neighbour_votes(
        torch.from_numpy(points),
        torch.from_numpy(points),
        torch.from_numpy(target),
        num_classes=3,
        k=6,
        exclude=torch.arange(30),
        valid=torch.from_numpy(valid) if masked else None,
        weights=weights,
    )
    votes = weighted_votes(points, target, valid, 6, weights == "distance")
    expected = (votes + pseudo_count) / (votes.sum(1, keepdims=True) + 3 * pseudo_count)
    np.testing.assert_allclose(found.shares(pseudo_count).numpy(), expected, atol=1e-12)
    assert (found.present is None) == (not masked)


def test_neighbours_that_were_not_found_have_no_weight() -> None:
    far = torch.tensor([[0.0, 1.0, 4.0, torch.inf], [2.0, torch.inf, torch.inf, torch.inf], [torch.inf] * 4])
    assert nearness(far).tolist() == [[1.0, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]


def test_far_neighbours_hardly_count_where_a_class_is_small() -> None:
    """Two clusters of four samples: with k = 5 two of the neighbours are of the other class, and far."""
    target = torch.arange(8) // 4
    first = torch.where(target == 0, 0.99, 0.01) + 1e-3 * (torch.arange(8) % 4)
    logits = torch.stack([first, 1 - first], 1).log()
    losses = (OSAKDLoss(2, k=5, include_self=False, pseudo_count=0.0, weights=one) for one in WEIGHTS)
    uniform, weighted = (loss.soft_labels(logits, target) for loss in losses)
    torch.testing.assert_close(uniform.gather(1, target[:, None]), torch.full((8, 1), 0.6))
    assert float(weighted.gather(1, target[:, None]).min()) > 0.99


WEIGHTS: tuple[Weights, Weights] = ("uniform", "distance")


@pytest.mark.unchecked
def test_an_unknown_weighting_is_named() -> None:
    with pytest.raises(InputError, match=r"Unknown weights 'gauss'.* Known: uniform, distance"):
        OSAKDLoss(3, weights="gauss")  # type: ignore[arg-type] - the point of the test
