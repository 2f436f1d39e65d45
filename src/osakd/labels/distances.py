"""Squared Euclidean distances by direct differences, and the k smallest of a row, stably.

Direct differences keep ties exact and tiny distances distinct; the norm expansion loses both to cancellation when
outputs are confident.
"""

import torch
from torch import Tensor

BLOCK_ROWS = 16
"""Rows of references per block, of which a search among many keeps a few and leaves out the rest."""
DIRECT_PAIRS = 2**18
"""Up to this many (query, reference) pairs, comparing all at once is fastest."""
_FEWEST_BLOCKS = 32
"""For each neighbour, below which leaving blocks out saves nothing."""
CHUNK_ELEMENTS, CHUNK_ELEMENTS_OF_A_GPU = 2**18, 2**26
"""Elements of one chunk of differences: half a core's L2 cache in float32; on a GPU launches cost more."""
CHUNK_COLUMNS = 64
"""Classes of a chunk, always as many: a sum is rounded by how it is grouped."""


def uses_block_search(queries: int, references: int, k: int) -> bool:
    """Whether so many queries are searched among so many references block by block, instead of compared at once."""
    return queries * references > DIRECT_PAIRS and references > _FEWEST_BLOCKS * k * BLOCK_ROWS


def mask_rows(distances: Tensor, *, exclude: Tensor | None, valid: Tensor | None) -> Tensor:
    """The distances ``[n, m]``, infinite where a reference is not ``valid`` or is the query itself (``exclude``)."""
    if valid is not None:
        distances = torch.where(valid, distances, torch.inf)
    if exclude is not None:
        rows = torch.arange(distances.shape[1], device=distances.device)
        distances = torch.where(rows == exclude[:, None], torch.inf, distances)
    return distances


def squared_distances(queries: Tensor, references: Tensor) -> Tensor:
    """Distances ``[n, m]`` of queries ``[n, c]`` to references ``[m, c]``, or of each query ``[n, m, c]``.

    They are computed in chunks that fit the cache, of references and of classes. A pair's distance does not depend on
    the other pairs. A distance that is NaN becomes infinite.
    """
    elements = CHUNK_ELEMENTS if queries.device.type == "cpu" else CHUNK_ELEMENTS_OF_A_GPU
    rows = max(1, elements // max(1, len(queries) * min(CHUNK_COLUMNS, queries.shape[1])))
    queries, references = queries.T.contiguous()[:, :, None], references.movedim(-1, 0)
    references = references if references.ndim == 3 else references[:, None]
    parts = [_chunk_distances(queries, part.contiguous()) for part in references.split(rows, dim=-1)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def smallest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest values of each row and their positions; of equal values the first ones."""
    if distances.dtype == torch.float32:
        # Non-negative floats order as their bits do, so one top-k over (bits, index) is a stable sort.
        index = torch.arange(distances.shape[1], device=distances.device)
        keys = (distances.view(torch.int32).to(torch.int64) << 32) | index
        order = torch.topk(keys, k, largest=False).indices
    else:
        order = torch.sort(distances, dim=1, stable=True).indices[:, :k]
    return distances.gather(1, order), order


def smallest_in_two_stages(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same as ``smallest``, faster for long rows: the minimum of each block, then a search in the k best blocks.

    The k smallest lie in those blocks: a value outside them is preceded by k block minima.
    """
    n, length = distances.shape
    padding = -length % BLOCK_ROWS
    blocks = torch.nn.functional.pad(distances, (0, padding), value=torch.inf).unflatten(1, (-1, BLOCK_ROWS))
    _, best = smallest(blocks.amin(2), k)
    # Ascending blocks keep the candidates in the order of their index, so that ties still go to the lower one.
    best = best.sort(dim=1).values
    candidates = blocks.gather(1, best[:, :, None].expand(n, k, BLOCK_ROWS)).flatten(1)
    nearest, position = smallest(candidates, k)
    rows = best.gather(1, position // BLOCK_ROWS) * BLOCK_ROWS + position % BLOCK_ROWS
    return nearest, rows.clamp(max=length - 1)


def _chunk_distances(queries: Tensor, references: Tensor) -> Tensor:
    """Of queries ``[c, n, 1]`` and references ``[c, n or 1, m]``."""
    total = None
    for ours, theirs in zip(queries.split(CHUNK_COLUMNS), references.split(CHUNK_COLUMNS), strict=True):
        squares = ours - theirs
        squares.mul_(squares)
        # Not `sum`: its order of additions depends on the position, so that duplicates would get different distances.
        while len(squares) > 1:
            half = len(squares) // 2
            squares[:half] += squares[half : 2 * half]
            if len(squares) % 2:
                squares[0] += squares[-1]
            squares = squares[:half]
        total = squares[0] if total is None else total + squares[0]
    assert total is not None  # noqa: S101 - there is a class
    # The sign bit of a NaN may be set, and such bits would come before all others.
    return torch.where(total.isnan(), torch.inf, total)
