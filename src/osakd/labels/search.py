r"""The search among many references, exact, as one operator that maps over replicas and compiles.

On the CPU a cheap lower bound of every distance, one matrix product in chunks that fit the cache, leaves a few blocks
of rows in which exact distances (direct differences) are computed. Points are first centred at the uniform
distribution, around which an untrained network's outputs lie. With :math:`u` the unit roundoff of the
product's type, c columns and :math:`e = 8 (c + 3) u`, the norm expansion and every rounding obey

.. math:: d(q, r) \ge (1 - e) |r|^2 - 2 \, q \cdot r + (1 - e) |q|^2.

The k nearest are certain where the k-th distance is below the bound of every block left out. Queries for which
that fails in float32 (their neighbours are closer than its resolution, as confident outputs are) are searched again in
float64, and what is left is compared with every reference. Elsewhere every distance is computed: a decision that
depends on values would make the host wait.
"""

from typing import Any

import torch
from torch import Tensor

from osakd.labels.distances import BLOCK_ROWS, mask_rows, smallest, smallest_in_two_stages, squared_distances

SPARE_BLOCKS = 2
"""Blocks searched beyond the ones that k neighbours and the query itself can lie in."""
CHUNK_ELEMENTS = 2**20
"""Elements of one chunk of bounds."""


@torch.library.custom_op("osakd::k_nearest_of_many", mutates_args=())
def k_nearest_of_many(
    queries: Tensor,
    references: Tensor,
    k: int,
    exclude: Tensor | None,
    valid: Tensor | None,
    norms: Tensor | None,  # noqa: ARG001 - for the kernel below
) -> tuple[Tensor, Tensor]:
    """The same as ``k_nearest``, for queries and references that are both float32 or both float64."""
    return _compare_with_all(queries, references, k, exclude, valid)


def _compare_with_all(
    queries: Tensor, references: Tensor, k: int, exclude: Tensor | None, valid: Tensor | None
) -> tuple[Tensor, Tensor]:
    distances = mask_rows(squared_distances(queries, references), exclude=exclude, valid=valid)
    return smallest_in_two_stages(distances, k)


@k_nearest_of_many.register_kernel("cpu")
def _filtered(
    queries: Tensor, references: Tensor, k: int, exclude: Tensor | None, valid: Tensor | None, norms: Tensor | None
) -> tuple[Tensor, Tensor]:
    distances = torch.empty(len(queries), k, dtype=queries.dtype)
    rows = torch.empty(len(queries), k, dtype=torch.int64)
    left = torch.arange(len(queries))
    if norms is None or norms.dtype != torch.float64:  # a module's cast may have rounded them
        norms = norms_of(references, valid)
    elif valid is not None:
        norms = torch.where(valid, norms, torch.inf)
    for dtype in (torch.float32, torch.float64):
        excluded = None if exclude is None else exclude[left]
        distances[left], rows[left], certain = _search_blocks(queries[left], references, k, excluded, norms, dtype)
        left = left[~certain]
        if not len(left):
            return distances, rows
    excluded = None if exclude is None else exclude[left]
    distances[left], rows[left] = _compare_with_all(queries[left], references, k, excluded, valid)
    return distances, rows


@k_nearest_of_many.register_fake
def _(
    queries: Tensor,
    references: Tensor,  # noqa: ARG001 - the operator's signature
    k: int,
    exclude: Tensor | None,  # noqa: ARG001
    valid: Tensor | None,  # noqa: ARG001
    norms: Tensor | None,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    return queries.new_empty(len(queries), k), queries.new_empty(len(queries), k, dtype=torch.int64)


@k_nearest_of_many.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *arguments: Tensor | int | None) -> object:
    """Replica by replica: each has another memory, and one search fills the cores."""
    results = [
        k_nearest_of_many(
            *(
                argument.select(dim, replica) if isinstance(argument, Tensor) and dim is not None else argument
                for argument, dim in zip(arguments, in_dims, strict=True)
            )
        )
        for replica in range(info.batch_size)
    ]
    return tuple(torch.stack(part) for part in zip(*results, strict=True)), (0, 0)


def norms_of(references: Tensor, valid: Tensor | None = None) -> Tensor:
    """Squared distances from the uniform distribution ``[m]``, in float64 whatever the precision of the search.

    Infinite for rows that are never neighbours; minus infinite for those that must be compared one by one, since their
    norm overflows or is not a number.
    """
    norms = (references.double() - _centre(references.shape[1])).square().sum(1)
    norms = torch.where(norms.isfinite(), norms, -torch.inf)
    return norms if valid is None else torch.where(valid, norms, torch.inf)


def _search_blocks(
    queries: Tensor, references: Tensor, k: int, exclude: Tensor | None, norms: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Distances and rows of the nearest in the most promising blocks, and the queries for which that is certain."""
    columns = queries.shape[1]
    factor = 1 - 8 * (columns + 3) * torch.finfo(dtype).eps / 2
    moved = (queries.double() - _centre(columns)).to(dtype)
    # Beyond it products overflow: such rows are searched before all else, and such queries again.
    largest = torch.finfo(dtype).max / 8
    norms = torch.where(norms.isfinite() & (norms > largest), -torch.inf, norms)
    bounds = _block_bounds(moved, references, norms, factor)
    searched = min(k + 1 + SPARE_BLOCKS, bounds.shape[1] - 1)
    values, blocks = torch.topk(bounds, searched + 1, dim=1, largest=False)
    # Ascending rows keep the candidates in order, so that ties go to the lower one.
    blocks = blocks[:, :-1].sort(dim=1).values
    rows = (blocks[:, :, None] * BLOCK_ROWS + torch.arange(BLOCK_ROWS)).flatten(1)
    inside = rows.clamp(max=len(references) - 1)
    candidates = references.index_select(0, inside.flatten()).unflatten(0, rows.shape)
    never = norms.index_select(0, inside.flatten()).view_as(rows).isposinf() | (rows != inside)
    if exclude is not None:
        never |= rows == exclude[:, None]
    distances = squared_distances(queries, candidates).masked_fill_(never, torch.inf)
    nearest, position = smallest(distances, k)
    lengths = moved.double().square().sum(1)
    rest = factor * (values[:, -1].double() + lengths)
    # A bound of infinity means that the blocks left out hold no row that could be a neighbour.
    certain = ((nearest[:, -1] < rest) | values[:, -1].isposinf()) & (lengths < largest)
    return nearest, inside.gather(1, position), certain


def _block_bounds(queries: Tensor, references: Tensor, norms: Tensor, factor: float) -> Tensor:
    """The least bound of each block for moved queries ``[n, blocks]``, over the factor, without the query's norm."""
    n, columns = queries.shape
    total, centre = len(references), _centre(columns)
    step = max(1, CHUNK_ELEMENTS // n // BLOCK_ROWS) * BLOCK_ROWS
    weights = torch.cat([queries * (-2 / factor), torch.ones(n, 1, dtype=queries.dtype)], dim=1).T.contiguous()
    table = torch.zeros(min(step, total + -total % BLOCK_ROWS), columns + 1, dtype=queries.dtype)
    bounds = torch.empty(len(table), n, dtype=queries.dtype)
    minima = []
    for start in range(0, total, step):
        count = min(step, total - start)
        padded = count + -count % BLOCK_ROWS
        table[:count, :columns] = references[start : start + count].to(queries.dtype) - centre
        table[:count, columns] = norms[start : start + count]
        table[count:padded] = 0
        table[count:padded, columns] = torch.inf
        torch.mm(table[:padded], weights, out=bounds[:padded])
        minima.append(bounds[:padded].view(-1, BLOCK_ROWS, n).amin(1))
    # What is not a number is searched before all else.
    return torch.cat(minima).T.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)


def _centre(columns: int) -> float:
    """Each coordinate of the uniform distribution, rounded so that it is the same in every precision."""
    return round(2**24 / columns) / 2**24
