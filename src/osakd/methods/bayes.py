r"""``osakd-bayes``: each sample gathers its neighbours' votes as evidence, weighted by how reliable they are by now.

.. math:: a_i \leftarrow \gamma \, a_i + r \, q_i, \qquad L = KL(a_i / \sum_j a_{ij} \| p_i)

with q the share of each class among the sample's neighbours in the mini-batch, r the running reliability of these
shares, and :math:`a_i = a_0 [j = y_i]` at first. The controls change what is gathered, and nothing else: its mass r is
that of the neighbours in each of them.
"""

from collections.abc import Callable
from math import log

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.labels.evidence import DirichletEvidence
from osakd.labels.posterior import Posterior
from osakd.labels.reliability import Reliability
from osakd.losses.osakd import OSAKDLoss
from osakd.losses.terms import at_least_float32
from osakd.methods.base import Batch, BuildContext
from osakd.methods.self_distillation import SelfDistillation, neighbours_of
from osakd.methods.settings.neighbours import BayesSettings


def mixed_with_prediction(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Posterior:
    """The mean of the neighbours' classes and the network's own prediction."""
    neighbours, own = neighbours_of(criterion, logits, batch), own_prediction(criterion, logits, batch)
    return neighbours._replace(soft_labels=(neighbours.soft_labels + own.soft_labels) / 2)


def weighted_by_gap(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Posterior:
    r"""The neighbours' classes, weighted by how far the network is ahead of them on its own classes.

    .. math:: 1 - \frac{H(y, p)}{(1 - r) \log c}, \text{ at least } 0

    compares the network's cross-entropy with the log score of the neighbours. While a network underfits, it knows no
    more of a sample's class than the neighbours do, and nothing is gathered; once it learns classes by heart, the
    neighbours' classes count.
    """
    posterior = neighbours_of(criterion, logits, batch)
    unexplained = (1 - posterior.reliability()) * log(criterion.num_classes)
    ahead = 1 - F.cross_entropy(at_least_float32(logits.detach()), batch.target) / unexplained.clamp(min=1e-6)
    return posterior._replace(soft_labels=posterior.soft_labels * ahead.clamp(0, 1))


def votes_for_another(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Posterior:
    """Each sample gets its predecessor's votes; a batch is in random order, so they are those of a random sample."""
    posterior = neighbours_of(criterion, logits, batch)
    return posterior._replace(soft_labels=posterior.soft_labels.roll(1, 0))


def uniform_votes(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Posterior:
    """Every class gets the same share of the votes."""
    posterior = neighbours_of(criterion, logits, batch)
    return posterior._replace(soft_labels=torch.full_like(posterior.soft_labels, 1 / criterion.num_classes))


def own_prediction(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Posterior:
    """The network's own prediction is the vote."""
    posterior = neighbours_of(criterion, logits, batch)
    return posterior._replace(soft_labels=at_least_float32(logits.detach()).softmax(1))


VOTES: dict[str, Callable[[OSAKDLoss, Tensor, Batch], Posterior]] = {
    "neighbours": neighbours_of,
    "mixed": mixed_with_prediction,
    "gap": weighted_by_gap,
    "shuffled": votes_for_another,
    "uniform": uniform_votes,
    "prediction": own_prediction,
}


def build(settings: BayesSettings, context: BuildContext) -> SelfDistillation:
    """Builds ``osakd-bayes``."""
    evidence = DirichletEvidence(
        context.num_samples,
        context.num_classes,
        prior=settings.prior,
        forgetting=settings.forgetting,
        smoothing=settings.smoothing,
        keep_prior=settings.keep_prior,
    )
    criterion = OSAKDLoss(
        context.num_classes,
        settings.k,
        include_self=False,
        pseudo_count=0.0,
        reliability=Reliability(power=1.0),
        evidence=evidence,
        ignore_index=None,  # every label of a data set is a class
        gather=False,  # a method sees the whole batch, also where several processes train it
    )
    return SelfDistillation(context.network, criterion, find=VOTES[settings.votes])
