"""The search among many references: exact wherever its bounds are of no use, and mapped, compiled, faked."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import vmap

from osakd.labels.distances import smallest, squared_distances
from osakd.labels.memory import OutputMemory
from osakd.labels.neighbours import k_nearest
from osakd.labels.search import _search_blocks, k_nearest_of_many, norms_of
from tests.references.posterior import sorted_neighbours

ROWS, QUERIES, K = 20_001, 16, 8


def softmax_outputs(sharpness: float, rows: int = ROWS, *, seed: int = 0) -> Tensor:
    logits = torch.randn(rows, 10, generator=torch.Generator().manual_seed(seed))
    return (sharpness * logits).softmax(1)


def check(queries: Tensor, references: Tensor, exclude: Tensor | None = None, valid: Tensor | None = None) -> None:
    """Against a full sort of the same distances in float64, to the last tie."""
    distances, found = k_nearest(queries.double(), references.double(), K, exclude=exclude, valid=valid)
    expected = sorted_neighbours(
        queries.double().numpy(),
        references.double().numpy(),
        np.full(len(queries), -1) if exclude is None else exclude.numpy(),
        np.full(len(references), True) if valid is None else valid.numpy(),
    )
    for row, order in enumerate(expected):
        here = min(K, len(order))
        assert found[row, :here].tolist() == order[:here]
        assert distances[row, here:].isposinf().all()


@pytest.mark.parametrize(
    ("sharpness", "float32", "float64"), [(2.0, QUERIES, QUERIES), (10.0, 8, 15), (1e4, 0, 0)], ids=str
)
def test_each_precision_is_tried_only_where_the_one_before_cannot_tell(
    sharpness: float, float32: int, float64: int
) -> None:
    """The sharper the outputs, the fewer queries are settled by the bounds; the result is the same."""
    references = softmax_outputs(sharpness)
    queries = references[:QUERIES]
    exclude = torch.arange(QUERIES)
    check(queries, references, exclude)
    for dtype, settled in ((torch.float32, float32), (torch.float64, float64)):
        certain = _search_blocks(
            queries.double(), references.double(), K, exclude, norms_of(references.double()), dtype
        )[2]
        assert abs(int(certain.sum()) - settled) <= 1


@pytest.mark.parametrize("sharpness", [2.0, 10.0, 30.0])
def test_a_memory_is_searched_exactly(sharpness: float) -> None:
    memory = OutputMemory(ROWS, 10)
    outputs = softmax_outputs(sharpness)
    memory.write(torch.arange(1, ROWS), outputs[1:], torch.zeros(ROWS - 1, dtype=torch.int64))
    exclude = torch.arange(1, QUERIES + 1)
    queries = outputs[exclude]
    given = {"exclude": exclude, "valid": memory.valid, "norms": memory.norms}
    found = k_nearest(queries, memory.outputs, K, **given)[1]
    expected = smallest(torch.where(memory.valid, squared_distances(queries, outputs), torch.inf), K + 1)[1]
    for row, order in enumerate(expected.tolist()):
        assert found[row].tolist() == [index for index in order if index != exclude[row]][:K]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 1e30])
@pytest.mark.parametrize("masked", [True, False])
def test_rows_without_a_distance_are_never_found(bad: float, masked: bool) -> None:
    references = softmax_outputs(2.0)
    references[::2] = bad
    valid = torch.arange(ROWS) % 2 == 1 if masked else None
    distances, found = k_nearest(references[1:33:2], references, K, valid=valid)
    assert (found % 2 == 1).all()
    assert distances.isfinite().all()


def test_nor_in_a_batch() -> None:
    """The softmax of an infinite logit is NaN, on some processors with a set sign bit."""
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    logits[5, 0] = torch.inf
    outputs = logits.softmax(1)
    for points in (outputs, outputs.nan_to_num(0) * torch.where(outputs.isnan(), -torch.nan, 1), outputs.double()):
        distances, found = k_nearest(points[:5], points, 3)
        assert (found != 5).all()
        assert distances.isfinite().all()


def test_a_query_that_is_not_a_number_harms_no_other() -> None:
    references = softmax_outputs(2.0)
    queries = references[:QUERIES].clone()
    expected = k_nearest(queries, references, K)[1]
    queries[3] = torch.nan
    found = k_nearest(queries, references, K)[1]
    kept = torch.arange(QUERIES) != 3
    assert torch.equal(found[kept], expected[kept])


@pytest.mark.parametrize("written", [0, 1, 5, 9, 300])
def test_a_memory_that_is_hardly_written(written: int) -> None:
    references = softmax_outputs(2.0)
    valid = torch.zeros(ROWS, dtype=torch.bool)
    valid[torch.randperm(ROWS, generator=torch.Generator().manual_seed(1))[:written]] = True
    rows = torch.arange(ROWS)[valid][:QUERIES].repeat(QUERIES)[:QUERIES] if written else torch.arange(QUERIES)
    check(references[rows], references, rows, valid)


def test_a_million_rows() -> None:
    references = softmax_outputs(4.0, 1_000_000)
    references[500_000:] = references[:500_000]  # every distance is a tie
    check(references[:4], references, torch.arange(4))


def test_mapped_over_replicas_with_memories_of_their_own() -> None:
    references = torch.stack([softmax_outputs(2.0, seed=seed) for seed in range(3)])
    queries = references[:, 100 : 100 + QUERIES]
    exclude = torch.arange(100, 100 + QUERIES)
    distances, found = vmap(lambda q, r: k_nearest(q, r, K, exclude=exclude))(queries, references)
    for replica in range(3):
        alone = k_nearest(queries[replica], references[replica], K, exclude=exclude)
        assert torch.equal(distances[replica], alone[0])
        assert torch.equal(found[replica], alone[1])


def test_what_other_devices_do_is_equal() -> None:
    references = softmax_outputs(4.0)
    arguments = (references[:QUERIES], references, K, torch.arange(QUERIES), torch.arange(ROWS) % 3 > 0, None)
    everywhere = k_nearest_of_many._init_fn(*arguments)
    for found, expected in zip(k_nearest_of_many(*arguments), everywhere, strict=True):
        assert torch.equal(found, expected)


def test_operator_is_well_formed() -> None:
    references = softmax_outputs(2.0)
    torch.library.opcheck(k_nearest_of_many, (references[:QUERIES], references, K, torch.arange(QUERIES), None, None))
    with FakeTensorMode():
        distances, found = k_nearest(torch.zeros(64, 10), torch.zeros(50_000, 10), K)
    assert (distances.shape, found.shape, found.dtype) == ((64, K), (64, K), torch.int64)


@pytest.mark.unchecked
def test_compiled() -> None:
    torch._dynamo.reset()
    references = softmax_outputs(2.0)
    compiled = torch.compile(k_nearest, backend="aot_eager", fullgraph=True)
    for found, expected in zip(
        compiled(references[:QUERIES], references, K), k_nearest(references[:QUERIES], references, K), strict=True
    ):
        assert torch.equal(found, expected)


def test_norms_that_were_rounded_or_know_nothing_of_validity_are_mended() -> None:
    references = softmax_outputs(10.0)
    valid = torch.arange(ROWS) % 2 == 1
    queries = references[:QUERIES]
    expected = k_nearest(queries, references, K, valid=valid)[1]
    for norms in (norms_of(references), norms_of(references).float(), norms_of(references).bfloat16()):
        assert torch.equal(k_nearest(queries, references, K, valid=valid, norms=norms)[1], expected)


def test_a_row_that_is_not_a_number_hides_no_other() -> None:
    references = softmax_outputs(2.0)
    references[5] = torch.nan
    arguments = (references[:4], references, 1, None, None, None)
    for search in (k_nearest_of_many._init_fn, k_nearest_of_many):
        assert search(*arguments)[1].flatten().tolist() == [0, 1, 2, 3]


@pytest.mark.unchecked
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_memory_of_another_type_goes_on(dtype: torch.dtype) -> None:
    memory = OutputMemory(ROWS, 10).to(dtype)
    memory.write(torch.arange(4), softmax_outputs(2.0)[:4], torch.arange(4))
    assert memory.valid.sum() == 4
