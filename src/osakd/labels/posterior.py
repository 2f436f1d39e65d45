r"""The class posterior of a sample from its k nearest labelled neighbours.

If k_j of the k nearest samples are of class j, the k-NN density estimate with Bayes' rule gives

.. math:: q[j] = P(j \mid x) = k_j / k

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, eq. (4).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.checks import whole
from osakd.labels.memory import OutputMemory
from osakd.labels.neighbours import k_nearest
from osakd.labels.queue import OutputQueue
from osakd.labels.ranks import Everyone
from osakd.labels.reliability import PSEUDO_COUNTS, explained, log_scores
from osakd.labels.samples import Samples, as_probabilities, without_ignored


class Pool(NamedTuple):
    """The labelled samples among which neighbours are searched: the mini-batch, that of all ranks, a memory, a queue.

    Attributes:
        outputs: outputs of the references, in the space in which neighbours are searched ``[m, c]``.
        target: class index of each reference ``[m]``, or its class probabilities ``[m, num_classes]``.
        valid: False for references that are never neighbours ``[m]``; None where all may be.
        rows: row of the pool that is query i itself ``[n]``; None for queries that are not in the pool.
        norms: ``norms_of(outputs)``, where it is kept.
    """

    outputs: Tensor
    target: Tensor
    valid: Tensor | None = None
    rows: Tensor | None = None
    norms: Tensor | None = None


def pool_of(
    outputs: Tensor,
    target: Tensor,
    used: Tensor | None,
    index: Tensor | None,
    *,
    memory: OutputMemory | None,
    queue: OutputQueue | None,
    everyone: Everyone | None,
    learns: bool,
    check: bool,
) -> Pool:
    """The pool of a batch, for the samples of this rank; a memory or queue that ``learns`` takes the batch up first.

    With neither the batch is searched; ``everyone`` are the joined batches of all ranks. ``check`` compares the classes
    of the samples with those that the memory holds.
    """
    if queue is not None:
        rows = queue.write(outputs, target, used if everyone is None else everyone.counted()) if learns else None
        rows = rows if rows is None or everyone is None else everyone.of_this_rank(rows)
        return Pool(queue.outputs, queue.target, queue.valid, rows)
    if memory is None and everyone is not None:
        return Pool(outputs, target, everyone.counted(), everyone.rows)
    if memory is None:
        return Pool(outputs, target, used, torch.arange(len(outputs), device=outputs.device))
    if not memory.num_samples:  # eval mode before training: no sample has a neighbour
        return Pool(outputs, target, torch.zeros(len(outputs), dtype=torch.bool, device=outputs.device))
    if index is not None:
        if check and learns:
            memory.check_classes(index, target)
        if learns:
            memory.write(index, outputs, target, used)
        index = index if everyone is None else everyone.of_this_rank(index)
    return Pool(memory.outputs, memory.target, memory.valid, index, memory.norms)


class Votes(NamedTuple):
    r"""The votes of the neighbours of each query.

    Attributes:
        classes: number of neighbours of each class ``[n, c]``.
        total: number of all neighbours, a number or ``[n, 1]``; 1 where there are none.
        rows: rows of the neighbours ``[n, k]``.
        counted: 1 for neighbours that were found, 0 for missing ones ``[n, k]``; None where every query has k.
        itself: row of the query itself ``[n]``, if it may be a neighbour; else None.
    """

    classes: Tensor
    total: Tensor | int
    rows: Tensor
    counted: Tensor | None
    itself: Tensor | None

    @property
    def present(self) -> Tensor:
        """False for queries without any neighbour ``[n, 1]``; for votes with missing neighbours."""
        assert self.counted is not None  # noqa: S101 - for the type checker
        return self.counted.sum(1, keepdim=True) > 0

    def shares(self, pseudo_count: float = 0.0) -> Tensor:
        r"""The share of each class ``[n, c]``; without any neighbour it is meaningless.

        .. math:: q[j] = (k_j + \alpha) / (k + \alpha c)

        With a pseudo-count :math:`\alpha` above 0 it is the posterior mean under a symmetric Dirichlet prior: no class
        is left without mass, however few the neighbours.

        Args:
            pseudo_count: added to the count of every class, at least 0.

        Reference:
            The prior: Gelman et al., "Bayesian Data Analysis", 3rd edition, section 3.4.
        """
        return (self.classes + pseudo_count) / (self.total + pseudo_count * self.classes.shape[1])


class Posterior(NamedTuple):
    """What the neighbours of each sample say about its class.

    Attributes:
        soft_labels: class probabilities ``[n, c]``.
        votes: the votes of the neighbours.
        samples: the samples.
        target: class index ``[n]`` of each sample, 0 where it is ignored, or its class probabilities ``[n, c]``.
        used: False for samples that are ignored ``[n]``; None where all are used.
        everyone: the batches of all ranks, where they were joined; else None.
    """

    soft_labels: Tensor
    votes: Votes
    samples: Samples
    target: Tensor
    used: Tensor | None
    everyone: Everyone | None = None

    def reliability(self) -> Tensor:
        """The share of the classes' entropy that the other samples' votes explain, a scalar from 0 to 1."""
        return explained(self.scores())

    def scores(self, pseudo_counts: Sequence[float] = PSEUDO_COUNTS) -> Tensor:
        """The ``log_scores`` of the other samples' votes ``[pseudo_counts + 1, c]``.

        Where the ranks were joined they are those of all their samples, and every rank must take part.
        """
        votes, target, used, everyone = self.votes.classes, self.target, self.used, self.everyone
        if self.votes.itself is not None:
            itself = self.votes.rows == self.votes.itself[:, None]
            counted = itself if self.votes.counted is None else itself * self.votes.counted
            votes = votes - counted.sum(1, keepdim=True) * as_probabilities(target, votes)
        if everyone is not None:
            (votes,), target, used = everyone.ranks.gather(votes), everyone.target, everyone.counted()
        return log_scores(votes, target, used, pseudo_counts).to(self.soft_labels.dtype)


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
    whole("num_classes", num_classes, least=1)
    if not target.is_floating_point():
        without_ignored(target if valid is None else torch.where(valid, target, 0), num_classes)
    votes = count_votes(queries, Pool(references, target, valid, exclude), num_classes, k, include_self=False)
    return votes.shares() if votes.counted is None else torch.where(votes.present, votes.shares(), 1 / num_classes)


VoteCounter = Callable[[Tensor, Pool, int, int, Tensor | None, bool], tuple[Tensor, Tensor, Tensor] | None]
VOTE_COUNTERS: list[VoteCounter] = []
"""Other implementations of ``count_votes``, tried before PyTorch's operators, the latest first.

Their arguments are the queries, the pool, the number of classes, k, the row of the pool that is the query itself and
never its neighbour, and whether every query has k neighbours. They give the distances and the rows of the neighbours
``[n, k]``, and the neighbours of each class ``[n, c]``; None for what they do not compute.
"""


def count_votes(queries: Tensor, pool: Pool, num_classes: int, k: int, *, include_self: bool) -> Votes:
    """The votes of the k nearest of the pool for each query ``[n, c]``, 1 to the size of the pool.

    A query is its own neighbour only with ``include_self``. No gradient flows into the votes.
    """
    queries, pool = queries.detach(), pool._replace(outputs=pool.outputs.detach())
    itself, exclude = (pool.rows, None) if include_self else (None, pool.rows)
    all_found = pool.valid is None and k <= len(pool.outputs) - (exclude is not None)
    for counter in reversed(VOTE_COUNTERS):
        result = counter(queries, pool, num_classes, k, exclude, all_found)
        if result is not None:
            distances, rows, classes = result
            break
    else:
        distances, rows = k_nearest(queries, pool.outputs, k, exclude=exclude, valid=pool.valid, norms=pool.norms)
        found = torch.isfinite(distances) if not all_found else torch.ones_like(distances)
        found = found.to(distances.dtype)
        if pool.target.is_floating_point():
            classes = (pool.target.detach()[rows].to(found.dtype) * found[:, :, None]).sum(1)
        else:
            # Not F.one_hot, which cannot be mapped over replicas. A missing neighbour may have any class.
            of = pool.target[rows].clamp(0, num_classes - 1)
            classes = found.new_zeros(len(rows), num_classes).scatter_add(1, of, found)
    if all_found:
        return Votes(classes, k, rows, None, itself)
    counted = torch.isfinite(distances).to(distances.dtype)
    return Votes(classes, counted.sum(1, keepdim=True).clamp(min=1), rows, counted, itself)
