import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from osakd import knn_posterior
from osakd.errors import InputError
from osakd.labels.posterior import Pool, count_votes
from tests.references.posterior import posterior, sorted_neighbours


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("spread", [1.0, 0.05])
def test_equals_scikit_learn_with_the_sample_left_out(k: int, spread: float) -> None:
    rng = np.random.default_rng(k)
    target = rng.integers(5, size=60)
    outputs = np.eye(5)[target] + spread * rng.normal(size=(60, 5))
    found = knn_posterior(
        torch.from_numpy(outputs),
        torch.from_numpy(outputs),
        torch.from_numpy(target),
        num_classes=5,
        k=k,
        exclude=torch.arange(60),
    ).numpy()
    compared = 0
    for row in range(60):
        others = np.delete(np.arange(60), row)
        distances = np.sort(np.linalg.norm(outputs[others] - outputs[row], axis=1))
        if np.isclose(distances[k - 1], distances[k]):
            continue
        judge = KNeighborsClassifier(k, algorithm="brute").fit(outputs[others], target[others])
        expected = np.zeros(5)
        expected[judge.classes_] = judge.predict_proba(outputs[[row]])[0]
        np.testing.assert_allclose(found[row], expected, atol=1e-12)
        compared += 1
    assert compared > 50


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Few distinct values in few columns: ties everywhere."""
    n, c = draw(st.integers(2, 24)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    outputs = rng.integers(0, draw(st.integers(1, 4)), size=(n, c)).astype(float)
    return outputs, rng.integers(c, size=n), c, draw(st.integers(1, n - 1))


@given(cases())
def test_equals_a_stable_sort_where_distances_tie(case: tuple[np.ndarray, np.ndarray, int, int]) -> None:
    outputs, target, c, k = case
    exclude = np.arange(len(outputs))
    for dtype in (torch.float32, torch.float64):
        points = torch.from_numpy(outputs).to(dtype)
        found = knn_posterior(
            points, points, torch.from_numpy(target), num_classes=c, k=k, exclude=torch.from_numpy(exclude)
        )
        expected = posterior(sorted_neighbours(outputs, outputs, exclude), target, c, k)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 19))
def test_does_not_depend_on_the_order_of_the_batch(seed: int, k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(20, 4, dtype=torch.float64, generator=generator)  # all distances differ
    target = torch.randint(4, (20,), generator=generator)
    order = torch.randperm(20, generator=generator)
    rows = torch.arange(20)
    found = knn_posterior(outputs, outputs, target, num_classes=4, k=k, exclude=rows)
    shuffled = knn_posterior(outputs[order], outputs[order], target[order], num_classes=4, k=k, exclude=rows)
    torch.testing.assert_close(shuffled, found[order])


def test_carries_no_gradient() -> None:
    outputs = torch.randn(6, 3, requires_grad=True)
    assert not knn_posterior(outputs, outputs, torch.arange(6) % 3, num_classes=3, k=2).requires_grad


def test_few_and_no_valid_neighbours() -> None:
    references = torch.tensor([[0.0], [1.0], [2.0]])
    target = torch.tensor([0, 1, 2])
    queries = torch.zeros(1, 1)
    some = knn_posterior(queries, references, target, num_classes=3, k=3, valid=torch.tensor([True, False, True]))
    none = knn_posterior(queries, references, target, num_classes=3, k=3, valid=torch.tensor([False, False, False]))
    torch.testing.assert_close(some, torch.tensor([[0.5, 0.0, 0.5]]))
    torch.testing.assert_close(none, torch.full((1, 3), 1 / 3))


@pytest.mark.parametrize("pseudo_count", [0.5, 2.0])
@pytest.mark.parametrize("masked", [False, True])
def test_a_pseudo_count_is_added_to_every_class(pseudo_count: float, masked: bool) -> None:
    """By counting neighbour by neighbour; three samples lie on one point."""
    generator = np.random.default_rng(1)
    points, target = generator.dirichlet(np.ones(3), size=30), generator.integers(0, 3, 30)
    points[5] = points[6] = points[7]
    valid = generator.random(30) < 0.4 if masked else np.ones(30, bool)
    votes = np.zeros((30, 3))
    for number, rows in enumerate(sorted_neighbours(points, points, np.arange(30), valid)):
        for row in rows[:6]:
            votes[number, target[row]] += 1
    outputs = torch.from_numpy(points)
    pool = Pool(outputs, torch.from_numpy(target), torch.from_numpy(valid) if masked else None, torch.arange(30))
    found = count_votes(outputs, pool, 3, 6, include_self=False)
    expected = (votes + pseudo_count) / (votes.sum(1, keepdims=True) + 3 * pseudo_count)
    np.testing.assert_allclose(found.shares(pseudo_count), expected, atol=1e-12)


def test_a_sample_is_not_its_own_neighbour() -> None:
    # Each sample is nearest to itself and next to one of the other class.
    outputs = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    target = torch.tensor([0, 1, 1, 0])
    found = knn_posterior(outputs, outputs, target, num_classes=2, k=1, exclude=torch.arange(4))
    assert found.argmax(1).tolist() == (1 - target).tolist()


def test_no_classes_is_an_error() -> None:
    with pytest.raises(InputError, match="`num_classes` must be at least 1, got 0"):
        knn_posterior(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64), num_classes=0, k=1)
