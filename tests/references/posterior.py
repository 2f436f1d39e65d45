"""Slow, independent references: NumPy's stable sort and plain loops."""

import numpy as np
from numpy.typing import NDArray


def sorted_neighbours(
    queries: NDArray[np.floating],
    references: NDArray[np.floating],
    exclude: NDArray[np.integer] | None = None,
    valid: NDArray[np.bool_] | None = None,
) -> list[list[int]]:
    """For each query every eligible row of the references, by (squared distance, row)."""
    result = []
    for number, query in enumerate(queries):
        distances = ((references - query) ** 2).sum(axis=1)
        order = np.argsort(distances, kind="stable")
        banned = -1 if exclude is None else int(exclude[number])
        result.append([int(row) for row in order if row != banned and (valid is None or valid[row])])
    return result


def queued(
    size: int, batches: list[tuple[NDArray[np.floating], NDArray[np.floating], list[bool]]]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The latest outputs and class probabilities, the oldest first, after batches of both and of what is taken up."""
    taken = [row for outputs, target, used in batches for row in zip(outputs, target, used, strict=True) if row[2]]
    outputs, target, _ = zip(*taken[-size:], strict=True)
    return np.stack(outputs), np.stack(target)


def posterior(
    neighbours: list[list[int]], target: NDArray[np.integer], num_classes: int, k: int
) -> NDArray[np.float64]:
    """The share of each class among the first k neighbours, by counting; uniform where there are none."""
    result = np.zeros((len(neighbours), num_classes))
    for number, rows in enumerate(neighbours):
        nearest = rows[:k]
        for row in nearest:
            result[number, target[row]] += 1 / len(nearest)
        if not nearest:
            result[number] = 1 / num_classes
    return result
