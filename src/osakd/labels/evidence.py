"""Each sample's class as a Dirichlet distribution that gathers votes over the epochs and slowly forgets."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.errors import InputError
from osakd.labels.kept import KeptPerSample
from osakd.labels.targets import as_probabilities


class DirichletEvidence(KeptPerSample):
    r"""The evidence for each class of every training sample, and its expectation.

    .. math:: a \leftarrow \gamma \, a + v, \quad a = a_0 \, [j = y] \text{ at first}, \quad \bar q = a / \sum_j a_j

    where v are the votes of one visit, one per sample if they sum to 1. The evidence of a sample starts from its own
    class, so its expectation needs no cross-entropy with the class beside it. With :math:`\gamma` below 1 the start
    counts for less and less: after many visits the votes alone decide. With ``keep_prior`` only votes are forgotten, so
    that the own class keeps its evidence: :math:`a \leftarrow \gamma \, a + (1 - \gamma) \, a_0 \, [j = y] + v`.

    Its state is a buffer, so it moves with its parent module and is in its state dict. In eval mode it is only read.

    Args:
        num_samples: number of training samples; 0 if it is not known yet: ``resize`` or a loaded state dict sets it.
        num_classes: number of classes, at least 1.
        prior: evidence :math:`a_0` that a sample starts with for its own class, above 0.
        forgetting: weight :math:`\gamma` of the earlier evidence at each visit, above 0 and at most 1.
        smoothing: share of the prior that is spread over all classes, 0 to below 1, as in label smoothing.
        keep_prior: forget votes only, not the prior.

    Raises:
        InputError: a value out of its range.

    Example:
        >>> evidence = DirichletEvidence(num_samples=100, num_classes=2, prior=4.0, forgetting=0.5)
        >>> index, target = torch.tensor([7]), torch.tensor([0])
        >>> torch.cat([evidence(index, torch.tensor([[0.0, 1.0]]), target) for _ in range(2)])
        tensor([[0.6667, 0.3333],
                [0.4000, 0.6000]])

    Reference:
        The conjugate update: Gelman et al., "Bayesian Data Analysis", 3rd edition, section 3.4; forgetting is
        a discount factor: West and Harrison, "Bayesian Forecasting and Dynamic Models", 2nd edition, 1997.
    """

    rows = "counts"
    counts: Float[Tensor, "m c"]

    def __init__(
        self,
        num_samples: int,
        num_classes: int,
        *,
        prior: float = 10.0,
        forgetting: float = 0.95,
        smoothing: float = 0.0,
        keep_prior: bool = False,
    ) -> None:
        if prior <= 0:
            raise InputError(f"`prior` must be above 0, got {prior}.")
        if not 0 < forgetting <= 1:
            raise InputError(f"`forgetting` must be above 0 and at most 1, got {forgetting}.")
        if not 0 <= smoothing < 1:
            raise InputError(f"`smoothing` must be at least 0 and below 1, got {smoothing}.")
        super().__init__(num_samples, num_classes)
        self.prior, self.forgetting, self.smoothing, self.keep_prior = prior, forgetting, smoothing, keep_prior
        # Rows of zeros are of samples that were never visited: their class is known at their first visit only.
        self.register_buffer("counts", torch.zeros(num_samples, num_classes))

    @torch.no_grad()
    def forward(
        self,
        index: Int[Tensor, " n"] | None,
        votes: Float[Tensor, "n c"],
        target: Int[Tensor, " n"] | Float[Tensor, "n c"],
        used: Bool[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n c"]:
        """Adds the votes to the evidence of the samples ``index`` and returns the expectations.

        Args:
            index: row of each sample, 0 to m - 1, each at most once; None for samples outside the training set, which
                are as on a first visit. That is for eval mode: nothing is kept of them.
            votes: votes for each class, at least 0.
            target: class index of each sample, 0 to c - 1, or its class probabilities. It is used at the first visit,
                with ``keep_prior`` at every visit.
            used: False for samples of which nothing is kept.

        Returns:
            Expected class probabilities; rows sum to 1.
        """
        own = as_probabilities(target, votes)
        start = self.prior * ((1 - self.smoothing) * own + self.smoothing / own.shape[1])
        if index is None:
            return _shares(self._after(start, start, votes))
        kept = self.counts[index].to(votes.dtype)
        counts = self._after(torch.where(kept.sum(1, keepdim=True) > 0, kept, start), start, votes)
        if self.training:
            new = counts if used is None else torch.where(used[:, None], counts, kept)
            # index_put_: index_copy_ and scatter_ fall back to slow loops when they are mapped over replicas.
            self.counts[index] = new.to(self.counts.dtype)
        return _shares(counts)

    def _after(self, counts: Tensor, start: Tensor, votes: Tensor) -> Tensor:
        if self.keep_prior:
            votes = votes + (1 - self.forgetting) * start
        return self.forgetting * counts + votes

    def extra_repr(self) -> str:
        """The sizes and settings, for ``print``."""
        samples, classes = self.counts.shape
        settings = f"prior={self.prior}, forgetting={self.forgetting}, smoothing={self.smoothing}"
        return f"num_samples={samples}, num_classes={classes}, {settings}, keep_prior={self.keep_prior}"


def _shares(counts: Tensor) -> Tensor:
    return counts / counts.sum(1, keepdim=True)
