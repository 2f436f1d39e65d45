import numpy as np
import pytest
import torch

from osakd.errors import InputError
from osakd.labels.distances import BLOCK_ROWS, uses_block_search
from osakd.labels.neighbours import k_nearest
from tests.references.posterior import sorted_neighbours

ROWS_FOR_TWO_STAGES = 20_000
QUERIES = 16


def points(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random data have no ties; the others have many, all exactly representable."""
    if kind == "random":
        return rng.normal(size=(count, 10))
    if kind == "clustered":
        centres = rng.normal(size=(7, 10))
        return centres[rng.integers(7, size=count)] + 1e-4 * rng.normal(size=(count, 10))
    if kind == "repeated":
        return rng.normal(size=(7, 10))[rng.integers(7, size=count)]
    if kind == "duplicated":
        return rng.integers(-8, 8, size=(5, 10))[rng.integers(5, size=count)].astype(float)
    if kind == "tied":
        return rng.integers(0, 3, size=(count, 3)).astype(float)
    # Confident softmax outputs: almost all of them exactly one-hot.
    return np.eye(10)[rng.integers(10, size=count)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["random", "clustered", "repeated", "duplicated", "tied", "saturated"])
@pytest.mark.parametrize("rows", [99, 100, ROWS_FOR_TWO_STAGES, ROWS_FOR_TWO_STAGES + 1])
def test_equals_a_stable_full_sort(kind: str, rows: int, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(rows)
    # Rounded to float32, so that both types see the same points.
    data = points(kind, rows, rng).astype(np.float32).astype(np.float64)
    exclude = rng.integers(rows, size=QUERIES)
    exclude[0] = -1
    valid = rng.random(rows) < 0.9
    queries = data[rng.integers(rows, size=QUERIES)]
    if rows >= ROWS_FOR_TWO_STAGES:
        assert uses_block_search(QUERIES, rows, 8)
    distances, found = k_nearest(
        torch.from_numpy(queries).to(dtype),
        torch.from_numpy(data).to(dtype),
        8,
        exclude=torch.from_numpy(exclude),
        valid=torch.from_numpy(valid),
    )
    expected = [order[:8] for order in sorted_neighbours(queries, data, exclude, valid)]
    true = ((data[np.array(expected)] - queries[:, None]) ** 2).sum(-1)
    np.testing.assert_allclose(distances, true, rtol=1e-5, atol=0)
    if dtype == torch.float64 or kind in ("repeated", "duplicated", "tied", "saturated"):
        assert found.tolist() == expected


def test_two_stages_find_ties_in_the_last_incomplete_block() -> None:
    rows = ROWS_FOR_TWO_STAGES + 3
    references = torch.ones(rows, 2)
    references[-3:] = 0
    references[BLOCK_ROWS] = 0
    _, found = k_nearest(torch.zeros(QUERIES, 2), references, 4)
    assert found[0].tolist() == [BLOCK_ROWS, rows - 3, rows - 2, rows - 1]


def test_distances_keep_apart_what_the_norm_expansion_loses() -> None:
    base = torch.tensor([1.0, 1e-9, 0.0])
    references = torch.stack([base + torch.tensor([0.0, step * 1e-10, 0.0]) for step in (3, 1, 2)])
    _, found = k_nearest(base[None], references, 3)
    assert found.tolist() == [[1, 2, 0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_searched_in_float32(dtype: torch.dtype) -> None:
    # In half precision 300^2 overflows or all these distances are equal.
    outputs = (torch.arange(40)[:, None] * 3.0 + 200).to(dtype)
    distances, found = k_nearest(outputs, outputs, 2, exclude=torch.arange(40))
    expected_distances, expected = k_nearest(outputs.float(), outputs.float(), 2, exclude=torch.arange(40))
    assert distances.dtype == torch.float32
    assert torch.equal(found, expected)
    assert torch.equal(distances, expected_distances)


def test_missing_neighbours_are_infinitely_far() -> None:
    outputs = torch.tensor([[0.0], [1.0], [2.0]])
    distances, found = k_nearest(outputs, outputs, 3, exclude=torch.arange(3), valid=torch.tensor([True, True, False]))
    assert distances.tolist() == [[1.0, torch.inf, torch.inf], [1.0, torch.inf, torch.inf], [1.0, 4.0, torch.inf]]
    assert found[:, 0].tolist() == [1, 0, 1]


@pytest.mark.parametrize("k", [0, 4])
def test_k_out_of_range_is_named(k: int) -> None:
    outputs = torch.zeros(3, 2)
    with pytest.raises(InputError, match=rf"`k` must be between 1 and 3 \(the number of references\), got {k}"):
        k_nearest(outputs, outputs, k)


def test_points_without_columns_are_refused() -> None:
    with pytest.raises(InputError, match="at least one column"):
        k_nearest(torch.zeros(QUERIES, 0), torch.zeros(ROWS_FOR_TWO_STAGES, 0), 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8, 10, 18, 33])
def test_duplicates_are_tied_wherever_they_stand(columns: int, dtype: torch.dtype) -> None:
    """All sizes of a batch: with vectors of any length, every lane of the last, partial one is met."""
    for rows in range(2, 71):
        generator = torch.Generator().manual_seed(100 * rows + columns)
        twins, queries = torch.rand(2, columns, generator=generator), torch.rand(rows, columns, generator=generator)
        references = twins[torch.randint(2, (rows,), generator=generator)].to(dtype)
        distances, order = k_nearest(queries.to(dtype), references, rows)
        by_row = torch.empty_like(distances).scatter_(1, order, distances)
        for twin in twins.to(dtype):
            same = by_row[:, (references == twin).all(1)]
            assert (same == same[:, :1]).all(), rows
