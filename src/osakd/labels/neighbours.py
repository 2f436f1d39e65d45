"""Exact k nearest neighbours of a batch: equal to a stable full sort by (distance, index), ties included.

Distances are squared Euclidean and computed by direct differences, which keeps ties exact and tiny distances apart
(the norm expansion loses both to cancellation when outputs are confident). Where the references are many, the
selection has two stages: the minimum of each block of rows, then a search inside the k best blocks. The k nearest rows
lie in those blocks: a row outside them is preceded by k block minima.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.errors import InputError

BLOCK_ROWS = 256
"""Rows of references per block of the two-stage selection."""
DIRECT_PAIRS = 2**18
"""Up to this many (query, reference) pairs, one sort of all references is faster than two stages."""
CHUNK_ELEMENTS = 2**18
"""Elements of one chunk of differences: half a core's second-level cache in float32."""


def k_nearest(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    k: int,
    *,
    exclude: Int[Tensor, " n"] | None = None,
    valid: Bool[Tensor, " m"] | None = None,
) -> tuple[Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    r"""The k nearest references of each query, nearest first; at equal distance the lower index wins.

    Args:
        queries: points to find neighbours for. Half types are raised to float32, float64 stays.
        references: points to search in.
        k: how many neighbours, 1 to m.
        exclude: row of ``references`` that is the query itself and never its neighbour; a negative row excludes none.
        valid: False for rows of ``references`` that are never neighbours.

    Returns:
        Squared distances and rows of ``references``, both ``[n, k]``. Where fewer than k rows qualify, the distance of
        the missing ones is infinite and their row is meaningless.

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
    queries, references = _at_least_float32(queries, references)
    distances = _squared_distances(queries, references)
    index = torch.arange(rows, device=references.device)
    if valid is not None:
        distances = torch.where(valid, distances, torch.inf)
    if exclude is not None:
        distances = torch.where(index == exclude[:, None], torch.inf, distances)
    if queries.shape[0] * rows <= DIRECT_PAIRS or rows <= 2 * k * BLOCK_ROWS:
        return _smallest(distances, k)
    return _smallest_in_two_stages(distances, k)


def _at_least_float32(queries: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(torch.promote_types(queries.dtype, references.dtype), torch.float32)
    return queries.to(dtype), references.to(dtype)


def _squared_distances(queries: Tensor, references: Tensor) -> Tensor:
    """Direct differences, ``[n, m]``; many references are taken class by class, in chunks that stay in the cache."""
    if queries.shape[0] * references.shape[0] <= DIRECT_PAIRS:
        return (queries[:, None] - references).square().sum(-1)
    step = max(1, CHUNK_ELEMENTS // queries.shape[0])
    return torch.cat([_chunk_distances(queries, part) for part in references.split(step)], dim=1)


def _chunk_distances(queries: Tensor, references: Tensor) -> Tensor:
    total: Tensor | None = None
    for query, reference in zip(queries.unbind(1), references.unbind(1), strict=True):
        difference = query[:, None] - reference
        total = difference.square() if total is None else torch.addcmul(total, difference, difference)
    if total is None:
        raise InputError("`queries` must have at least one column, got none.")
    return total


def _smallest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest of each row, stably. Float32 distances and their index are packed into one integer key."""
    if distances.dtype == torch.float32:
        # Non-negative floats order as their bits do, so one top-k over (bits, index) is a stable sort.
        index = torch.arange(distances.shape[1], device=distances.device)
        keys = (distances.view(torch.int32).to(torch.int64) << 32) | index
        order = torch.topk(keys, k, largest=False).indices
    else:
        order = torch.sort(distances, dim=1, stable=True).indices[:, :k]
    return distances.gather(1, order), order


def _smallest_in_two_stages(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    n, rows = distances.shape
    padding = -rows % BLOCK_ROWS
    blocks = torch.nn.functional.pad(distances, (0, padding), value=torch.inf).unflatten(1, (-1, BLOCK_ROWS))
    _, best = _smallest(blocks.amin(2), k)
    # Ascending blocks keep the candidates in the order of their index, so that ties still go to the lower one.
    best = best.sort(dim=1).values
    candidates = blocks.gather(1, best[:, :, None].expand(n, k, BLOCK_ROWS)).flatten(1)
    nearest, position = _smallest(candidates, k)
    rows_found = best.gather(1, position // BLOCK_ROWS) * BLOCK_ROWS + position % BLOCK_ROWS
    return nearest, rows_found.clamp(max=rows - 1)
