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

Weights = Literal["uniform", "distance"]


def knn_posterior(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    target: Int[Tensor, " m"],
    *,
    num_classes: int,
    k: int,
    exclude: Int[Tensor, " n"] | None = None,
    valid: Bool[Tensor, " m"] | None = None,
) -> Float[Tensor, "n num_classes"]:
    r"""Soft labels: the share of each class among the k nearest references of each query. Paper: eq. (4).

    No gradient flows into the result. Equal distances: the lower row wins.

    Args:
        queries: outputs of the samples to label, in whatever space the neighbours are looked for.
        references: outputs of the labelled samples.
        target: class of each reference, 0 to ``num_classes - 1``; of rows that are not ``valid``, anything.
        num_classes: number of classes.
        k: number of neighbours, 1 to m.
        exclude: row of ``references`` that is query i itself, to leave it out; a negative row excludes none.
        valid: False for references that are never neighbours.

    Returns:
        Soft labels that sum to 1, at least float32. With fewer than k valid neighbours the share is taken among those
        found; with none it is uniform.

    Raises:
        InputError: k is not between 1 and m.

    Example:
        >>> outputs = torch.tensor([[0.0], [0.1], [0.2], [5.0]])
        >>> target = torch.tensor([0, 0, 1, 1])
        >>> knn_posterior(outputs, outputs, target, num_classes=2, k=2, exclude=torch.arange(4))
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000],
                [1.0000, 0.0000],
                [0.5000, 0.5000]])
    """
    soft_labels, found = posterior_and_found(
        queries, references, target, num_classes=num_classes, k=k, exclude=exclude, valid=valid
    )
    return soft_labels if found is None else torch.where(found, soft_labels, 1 / num_classes)


def posterior_and_found(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    target: Int[Tensor, " m"],
    *,
    num_classes: int,
    k: int,
    exclude: Int[Tensor, " n"] | None = None,
    valid: Bool[Tensor, " m"] | None = None,
    norms: Float[Tensor, " m"] | None = None,
    weights: Weights = "uniform",
    pseudo_count: float = 0.0,
) -> tuple[Float[Tensor, "n num_classes"], Bool[Tensor, "n 1"] | None]:
    r"""As ``knn_posterior``, with weights and a prior; rows that found no neighbour are marked False.

    .. math:: q[j] = (\sum_{i: y_i = j} w_i + \alpha) / (\sum_i w_i + \alpha c)

    With :math:`\alpha` above 0 it is the posterior mean under a symmetric Dirichlet prior: no class is left without
    mass, however few the neighbours.

    Args:
        queries: as in ``knn_posterior``.
        references: as there.
        target: as there.
        num_classes: as there.
        k: as there.
        exclude: as there.
        valid: as there.
        norms: as in ``k_nearest``.
        weights: ``"uniform"`` counts every neighbour once; ``"distance"`` by ``nearness``.
        pseudo_count: added to the count of every class (Dirichlet :math:`\alpha`), at least 0.

    Returns:
        Soft labels, and the marks: None where every row is sure to find k neighbours, as in a mini-batch; the soft
        labels of rows marked False mean nothing.

    Reference:
        The prior: Gelman et al., "Bayesian Data Analysis", 3rd edition, section 3.4.
    """
    if num_classes < 1:
        raise InputError(f"`num_classes` must be at least 1, got {num_classes}.")
    distances, rows = k_nearest(queries.detach(), references.detach(), k, exclude=exclude, valid=valid, norms=norms)
    # A comparison, not F.one_hot: that one cannot be mapped over replicas.
    labels = torch.arange(num_classes, device=target.device)
    counted = target[rows][:, :, None] == labels
    sure = valid is None and k <= len(references) - (exclude is not None)
    if sure and weights == "uniform":
        return (counted.sum(1).to(distances.dtype) + pseudo_count) / (k + pseudo_count * num_classes), None
    each = WEIGHTS[weights](distances)
    total = each.sum(1, keepdim=True)
    votes = (counted * each[:, :, None]).sum(1)
    return (votes + pseudo_count) / (total.clamp(min=1) + pseudo_count * num_classes), None if sure else total > 0


def nearness(distances: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    r"""Weights of neighbours that fall with their distance: 1 for the nearest, 0 for the farthest.

    .. math:: w_i = (d_k - d_i) / (d_k - d_1)

    Where the batch holds fewer samples of a class than k, its far neighbours of other classes count for little.

    Args:
        distances: squared, sorted; infinite for neighbours that were not found.

    Returns:
        Weights between 0 and 1; 1 for all where all are equally far, 0 for those not found.

    Example:
        >>> nearness(torch.tensor([[1.0, 4.0, 9.0], [4.0, 4.0, 4.0]]))
        tensor([[1.0000, 0.5000, 0.0000],
                [1.0000, 1.0000, 1.0000]])

    Reference:
        Dudani, "The distance-weighted k-nearest-neighbor rule", IEEE Trans. Systems, Man and Cybernetics, 1976.
    """
    distances = distances.sqrt()
    found = torch.isfinite(distances)
    farthest = torch.where(found, distances, 0).amax(1, keepdim=True)
    span = farthest - distances[:, :1]
    weights = torch.where(span > 0, (farthest - distances) / span, 1)
    return torch.where(found, weights, 0)


def _found(distances: Tensor) -> Tensor:
    return torch.isfinite(distances).to(distances.dtype)


WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {"uniform": _found, "distance": nearness}
