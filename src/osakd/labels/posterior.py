r"""The class posterior of a sample from its k nearest labelled neighbours.

If k_j of the k nearest samples are of class j, the k-NN density estimate with Bayes' rule gives

.. math:: q[j] = P(j \mid x) = k_j / k

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (4).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.errors import InputError
from osakd.labels.neighbours import k_nearest


def knn_posterior(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    classes: Int[Tensor, " m"],
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
        classes: class of each reference, 0 to ``num_classes - 1``; of rows that are not ``valid``, anything.
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
        >>> classes = torch.tensor([0, 0, 1, 1])
        >>> knn_posterior(outputs, outputs, classes, num_classes=2, k=2, exclude=torch.arange(4))
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000],
                [1.0000, 0.0000],
                [0.5000, 0.5000]])
    """
    soft_labels, found = posterior_and_found(
        queries, references, classes, num_classes=num_classes, k=k, exclude=exclude, valid=valid
    )
    return soft_labels if found is None else torch.where(found, soft_labels, 1 / num_classes)


def posterior_and_found(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    classes: Int[Tensor, " m"],
    *,
    num_classes: int,
    k: int,
    exclude: Int[Tensor, " n"] | None = None,
    valid: Bool[Tensor, " m"] | None = None,
    norms: Float[Tensor, " m"] | None = None,
) -> tuple[Float[Tensor, "n num_classes"], Bool[Tensor, "n 1"] | None]:
    """As ``knn_posterior``, with the rows that found no neighbour left at zero and marked False.

    The marks are None where every row is sure to find k neighbours, as in a mini-batch.

    ``norms`` is as in ``k_nearest``.
    """
    if num_classes < 1:
        raise InputError(f"`num_classes` must be at least 1, got {num_classes}.")
    distances, rows = k_nearest(queries.detach(), references.detach(), k, exclude=exclude, valid=valid, norms=norms)
    # A comparison, not F.one_hot: that one cannot be mapped over replicas.
    labels = torch.arange(num_classes, device=classes.device)
    counted = classes[rows][:, :, None] == labels
    if valid is None and k <= len(references) - (exclude is not None):
        return counted.sum(1).to(distances.dtype) / k, None
    counts = (counted & torch.isfinite(distances)[:, :, None]).sum(1).to(distances.dtype)
    total = counts.sum(1, keepdim=True)
    return counts / total.clamp(min=1), total > 0


def with_prior(soft_labels: Float[Tensor, "n c"], k: int, prior: float) -> Float[Tensor, "n c"]:
    r"""The posterior mean of the class probabilities under a symmetric Dirichlet prior.

    .. math:: q[j] = (k_j + \alpha) / (k + \alpha c)

    No class is left without mass, however few the neighbours.

    Args:
        soft_labels: shares of the classes among k neighbours.
        k: number of neighbours.
        prior: neighbours :math:`\alpha` that every class is given beforehand, at least 0.

    Returns:
        Soft labels that sum to 1.

    Example:
        >>> with_prior(torch.tensor([[0.75, 0.25, 0.0]]), k=4, prior=1.0)
        tensor([[0.5714, 0.2857, 0.1429]])

    Reference:
        Gelman et al., "Bayesian Data Analysis", 3rd edition, section 3.4.
    """
    return (k * soft_labels + prior) / (k + prior * soft_labels.shape[1])
