r"""The class posterior of a sample from its k nearest labelled neighbours.

If k_j of the k nearest samples are of class j, the k-NN density estimate with Bayes' rule gives

.. math:: q[j] = P(j \mid x) = k_j / k

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (4).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.errors import InputError
from osakd.kernels import labels as kernel
from osakd.labels.neighbours import k_nearest
from osakd.labels.ranks import Everyone
from osakd.labels.reliability import explained, log_scores
from osakd.labels.targets import any_ignored, as_probabilities

Weights = Literal["uniform", "distance"]


class Votes(NamedTuple):
    r"""The votes of the neighbours of each query.

    Attributes:
        classes: weight of the neighbours of each class ``[n, c]``.
        total: weight of all neighbours, a number or ``[n, 1]``; 1 where there are none.
        rows: rows of the neighbours ``[n, k]``.
        weights: weight of each neighbour ``[n, k]``; None where all are 1.
        own: row of the query itself ``[n]``, if it may be a neighbour; else None.
        present: False for queries without any neighbour ``[n, 1]``; None where every query has k.
    """

    classes: Tensor
    total: Tensor | int
    rows: Tensor
    weights: Tensor | None
    own: Tensor | None
    present: Tensor | None

    def shares(self, pseudo_count: float = 0.0) -> Tensor:
        r"""The share of each class ``[n, c]``; without any neighbour it is meaningless.

        .. math:: q[j] = (\sum_{i: y_i = j} w_i + \alpha) / (\sum_i w_i + \alpha c)

        With a pseudo-count :math:`\alpha` above 0 it is the posterior mean under a symmetric Dirichlet prior: no class
        is left without mass, however few the neighbours.

        Args:
            pseudo_count: added to the count of every class, at least 0.

        Reference:
            The prior: Gelman et al., "Bayesian Data Analysis", 3rd edition, section 3.4.
        """
        return (self.classes + pseudo_count) / (self.total + pseudo_count * self.classes.shape[1])

    def of_others(self, target: Tensor) -> Tensor:
        """The votes ``[n, c]`` without that of the query itself, whose class (or class probabilities) is the target."""
        if self.own is None:
            return self.classes
        itself = self.rows == self.own[:, None]
        weight = (itself if self.weights is None else itself * self.weights).sum(1, keepdim=True)
        return self.classes - weight * as_probabilities(target, self.classes)


class Posterior(NamedTuple):
    """What the neighbours of each sample say about its class.

    Attributes:
        soft_labels: class probabilities ``[n, c]``.
        votes: the votes of the neighbours.
        target: class index ``[n]`` of each sample, 0 where it is ignored, or its class probabilities ``[n, c]``.
        used: False for samples that are ignored ``[n]``; None where all are used.
        everyone: the batches of all ranks, where they were joined; else None.
    """

    soft_labels: Tensor
    votes: Votes
    target: Tensor
    used: Tensor | None
    everyone: Everyone | None = None

    def reliability(self) -> Tensor:
        """The share of the classes' entropy that the other samples' votes explain, a scalar from 0 to 1."""
        return explained(self.scores())

    def scores(self) -> Tensor:
        """The ``log_scores`` of the other samples' votes ``[2, c]``.

        Where the ranks were joined they are those of all their samples, and every rank must take part.
        """
        votes, everyone = self.votes.of_others(self.target), self.everyone
        if everyone is None:
            return log_scores(votes, self.target, self.used)
        (votes,) = everyone.ranks.gather(votes)
        return log_scores(votes, everyone.target, everyone.counted())


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
    votes = neighbour_votes(queries, references, target, num_classes=num_classes, k=k, exclude=exclude, valid=valid)
    return votes.shares() if votes.present is None else torch.where(votes.present, votes.shares(), 1 / num_classes)


def neighbour_votes(
    queries: Float[Tensor, "n c"],
    references: Float[Tensor, "m c"],
    target: Int[Tensor, " m"] | Float[Tensor, "m num_classes"],
    *,
    num_classes: int,
    k: int,
    exclude: Int[Tensor, " n"] | None = None,
    own: Int[Tensor, " n"] | None = None,
    valid: Bool[Tensor, " m"] | None = None,
    norms: Float[Tensor, " m"] | None = None,
    weights: Weights = "uniform",
) -> Votes:
    r"""The votes of each query's neighbours, of which ``knn_posterior`` is the shares.

    Args:
        queries: see ``knn_posterior``.
        references: see ``knn_posterior``.
        target: see ``knn_posterior``.
        num_classes: see ``knn_posterior``.
        k: see ``knn_posterior``.
        exclude: see ``knn_posterior``.
        own: row of ``references`` that is the query itself, if it may be a neighbour.
        valid: see ``knn_posterior``.
        norms: see ``k_nearest``.
        weights: ``"uniform"`` counts every neighbour once; ``"distance"`` by ``nearness``.

    Returns:
        The votes; those of queries without any neighbour are zeros, and ``present`` marks them. In a mini-batch every
        query has k.
    """
    queries, references = queries.detach(), references.detach()
    all_present = valid is None and k <= len(references) - (exclude is not None)
    indices = target.dtype == torch.int64
    if indices and weights == "uniform" and 1 <= k <= len(references) and kernel.takes(queries, references, target):
        given = {"num_classes": num_classes, "k": k, "exclude": exclude, "valid": valid, "count_all": all_present}
        distances, rows, classes = kernel.neighbours(queries, references, target, **given)
        if all_present:
            return Votes(classes, k, rows, None, own, None)
        each = _equal(distances)
        total = each.sum(1, keepdim=True)
        return Votes(classes, total.clamp(min=1), rows, each, own, total > 0)
    distances, rows = k_nearest(queries, references, k, exclude=exclude, valid=valid, norms=norms)
    # A comparison, not F.one_hot: that one cannot be mapped over replicas.
    if target.is_floating_point():
        counted = target.detach()[rows].to(distances.dtype)
    else:
        counted = target[rows][:, :, None] == torch.arange(num_classes, device=target.device)
    if all_present and weights == "uniform":
        return Votes(counted.sum(1).to(distances.dtype), k, rows, None, own, None)
    each = WEIGHTS[weights](distances)
    total = each.sum(1, keepdim=True)
    classes = (counted * each[:, :, None]).sum(1)
    return Votes(classes, total.clamp(min=1), rows, each, own, None if all_present else total > 0)


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
