r"""The class posterior of a sample from its k nearest labelled neighbours.

If k_j of the k nearest samples are of class j, the k-NN density estimate with Bayes' rule gives

.. math:: q[j] = P(j \mid x) = k_j / k

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (4).
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.errors import InputError
from osakd.labels.neighbours import k_nearest
from osakd.labels.targets import any_ignored

Weights = Literal["uniform", "distance"]


def knn_posterior(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    target: Int[Tensor, " m"] | Float[Tensor, "m num_classes"],
    *,
    num_classes: int,
    k: int,
    exclude: Int[Tensor, " n"] | None = None,
    valid: Bool[Tensor, " m"] | None = None,
) -> Float[Tensor, "n num_classes"]:
    r"""Soft labels: the share of each class among the k nearest references of each query. Paper: eq. (4).

    No gradient flows into the result. Equal distances: the lower row wins.

    Args:
        queries: outputs of the samples to label, in the space in which neighbours are searched.
        references: outputs of the labelled samples.
        target: class index of each reference, 0 to ``num_classes - 1``; or its class probabilities, which are its vote.
            Rows that are not ``valid`` may hold anything.
        num_classes: number of classes.
        k: number of neighbours, 1 to m.
        exclude: row of ``references`` that is query i itself and is left out; a negative row excludes none.
        valid: False for references that are never neighbours.

    Returns:
        Soft labels that sum to 1, at least float32. With fewer than k valid references the share is taken among those;
        with none it is uniform.

    Raises:
        InputError: k is not between 1 and m; a class index out of range (on the CPU in eager mode, where values can be
            read).

    Example:
        >>> outputs = torch.tensor([[0.0], [0.1], [0.2], [5.0]])
        >>> target = torch.tensor([0, 0, 1, 1])
        >>> knn_posterior(outputs, outputs, target, num_classes=2, k=2, exclude=torch.arange(4))
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000],
                [1.0000, 0.0000],
                [0.5000, 0.5000]])
    """
    if num_classes < 1:
        raise InputError(f"`num_classes` must be at least 1, got {num_classes}.")
    if not target.is_floating_point():
        any_ignored(target if valid is None else torch.where(valid, target, 0), num_classes)
    soft_labels, has_neighbours = weighted_posterior(
        queries, references, target, num_classes=num_classes, k=k, exclude=exclude, valid=valid
    )
    return soft_labels if has_neighbours is None else torch.where(has_neighbours, soft_labels, 1 / num_classes)


def weighted_posterior(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    target: Int[Tensor, " m"] | Float[Tensor, "m num_classes"],
    *,
    num_classes: int,
    k: int,
    exclude: Int[Tensor, " n"] | None = None,
    valid: Bool[Tensor, " m"] | None = None,
    norms: Float[Tensor, " m"] | None = None,
    weights: Weights = "uniform",
    pseudo_count: float = 0.0,
) -> tuple[Float[Tensor, "n num_classes"], Bool[Tensor, "n 1"] | None]:
    r"""As ``knn_posterior``, with weighted neighbours and pseudo-counts, and with a mask of queries with neighbours.

    .. math:: q[j] = (\sum_{i: y_i = j} w_i + \alpha) / (\sum_i w_i + \alpha c)

    With :math:`\alpha` above 0 it is the posterior mean under a symmetric Dirichlet prior: no class is left without
    mass, however few the neighbours.

    Args:
        queries: see ``knn_posterior``.
        references: see ``knn_posterior``.
        target: see ``knn_posterior``.
        num_classes: see ``knn_posterior``.
        k: see ``knn_posterior``.
        exclude: see ``knn_posterior``.
        valid: see ``knn_posterior``.
        norms: see ``k_nearest``.
        weights: ``"uniform"`` counts every neighbour once; ``"distance"`` by ``nearness``.
        pseudo_count: added to the count of every class (Dirichlet :math:`\alpha`), at least 0.

    Returns:
        Soft labels, and a mask that is False for queries without any neighbour, whose soft labels are meaningless. The
        mask is None where every query has k neighbours, as in a mini-batch.

    Reference:
        The prior: Gelman et al., "Bayesian Data Analysis", 3rd edition, section 3.4.
    """
    distances, rows = k_nearest(queries.detach(), references.detach(), k, exclude=exclude, valid=valid, norms=norms)
    # A comparison, not F.one_hot: that one cannot be mapped over replicas.
    if target.is_floating_point():
        counted = target.detach()[rows].to(distances.dtype)
    else:
        counted = target[rows][:, :, None] == torch.arange(num_classes, device=target.device)
    all_present = valid is None and k <= len(references) - (exclude is not None)
    if all_present and weights == "uniform":
        return (counted.sum(1).to(distances.dtype) + pseudo_count) / (k + pseudo_count * num_classes), None
    each = WEIGHTS[weights](distances)
    total = each.sum(1, keepdim=True)
    votes = (counted * each[:, :, None]).sum(1)
    return (votes + pseudo_count) / (
        total.clamp(min=1) + pseudo_count * num_classes
    ), None if all_present else total > 0


def nearness(distances: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    r"""Weights of neighbours that fall with their distance: 1 for the nearest, 0 for the farthest.

    .. math:: w_i = (d_k - d_i) / (d_k - d_1)

    Where the batch holds fewer samples of a class than k, its far neighbours of other classes count for little.

    Args:
        distances: squared distances in ascending order; infinite for missing neighbours.

    Returns:
        Weights between 0 and 1; all are 1 where all neighbours are equally far, missing neighbours have 0.

    Example:
        >>> nearness(torch.tensor([[1.0, 4.0, 9.0], [4.0, 4.0, 4.0]]))
        tensor([[1.0000, 0.5000, 0.0000],
                [1.0000, 1.0000, 1.0000]])

    Reference:
        Dudani, "The distance-weighted k-nearest-neighbor rule", IEEE Trans. Systems, Man and Cybernetics, 1976.
    """
    distances = distances.sqrt()
    present = torch.isfinite(distances)
    farthest = torch.where(present, distances, 0).amax(1, keepdim=True)
    span = farthest - distances[:, :1]
    weights = torch.where(span > 0, (farthest - distances) / span, 1)
    return torch.where(present, weights, 0)


def _equal(distances: Tensor) -> Tensor:
    return torch.isfinite(distances).to(distances.dtype)


WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {"uniform": _equal, "distance": nearness}
