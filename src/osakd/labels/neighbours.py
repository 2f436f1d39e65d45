"""Exact k nearest neighbours of a batch: equal to a stable full sort by (distance, index), ties included.

Distances are squared Euclidean distances, computed as direct differences. A mini-batch is compared with itself at once;
a memory's many references are searched block by block (``search``).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.errors import InputError
from osakd.labels.distances import mask_rows, smallest, squared_distances, uses_block_search
from osakd.labels.search import k_nearest_of_many


def k_nearest(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    k: int,
    *,
    exclude: Int[Tensor, " n"] | None = None,
    valid: Bool[Tensor, " m"] | None = None,
    norms: Float[Tensor, " m"] | None = None,
) -> tuple[Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    r"""The k nearest references of each query, nearest first; at equal distance the lower index wins.

    Args:
        queries: points to find neighbours for. Half types are raised to float32, float64 stays.
        references: points to search in.
        k: number of neighbours, 1 to m.
        exclude: row of ``references`` that is the query itself and never its neighbour; a negative row excludes none.
        valid: False for rows of ``references`` that are never neighbours.
        norms: ``norms_of(references)``, where it is kept; it makes a search among many references faster.

    Returns:
        Squared distances and rows of ``references``, both ``[n, k]``. With fewer than k valid references, the missing
        neighbours have an infinite distance and a meaningless row.

    Raises:
        InputError: k is not between 1 and m.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [3.0]])
        >>> distances, rows = k_nearest(points, points, 2, exclude=torch.arange(3))
        >>> rows.tolist(), distances.tolist()
        ([[1, 2], [0, 2], [1, 0]], [[1.0, 9.0], [1.0, 4.0], [4.0, 9.0]])
    """
    rows = references.shape[0]
    if not 1 <= k <= rows:
        raise InputError(f"`k` must be between 1 and {rows} (the number of references), got {k}.")
    if queries.shape[1] == 0:
        raise InputError("`queries` must have at least one column, got none.")
    dtype = torch.promote_types(torch.promote_types(queries.dtype, references.dtype), torch.float32)
    queries, references = queries.to(dtype), references.to(dtype)
    if uses_block_search(len(queries), rows, k):
        return k_nearest_of_many(queries, references, k, exclude, valid, norms)
    distances = squared_distances(queries, references)
    if exclude is not None or valid is not None:
        distances = mask_rows(distances, exclude=exclude, valid=valid)
    return smallest(distances, k)
