r"""How reliable soft labels are: how much the votes of a sample's neighbours say about its class.

.. math:: r = 1 + \max_\alpha \frac{1}{m \log m} \sum_{j} \frac{1}{n_j} \sum_{i: y_i = j}
    \log \frac{v_i[j] + \alpha}{\sum_l v_i[l] + \alpha c}

compares the votes v of the other samples with guessing among the m classes that were seen, by a log score in which
every class counts the same, however few samples :math:`n_j` it has. It is 0 if the votes know nothing, or are worse
than that, and almost 1 if all neighbours are of the sample's class. Votes that only repeat how frequent the classes are
know nothing. The best of a few pseudo-counts :math:`\alpha` scores the votes: with many classes a small one takes votes
for certainties, and a vote that is right three times in ten would count as less than a guess.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from osakd.checks import number
from osakd.labels.samples import as_probabilities

PSEUDO_COUNTS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Of each class, with which votes are scored."""
FEWEST_SAMPLES = 1e-6
"""A class with less than so many samples, those of long ago counted for less, was not seen."""


@torch.no_grad()
def log_scores(
    votes: Float[Tensor, "n c"],
    target: Int[Tensor, " n"] | Float[Tensor, "n c"],
    used: Bool[Tensor, " n"] | None = None,
    pseudo_counts: Sequence[float] = PSEUDO_COUNTS,
) -> Float[Tensor, "rows c"]:
    """The sum of the log scores of each class's samples, a row for each pseudo-count, and last how many samples.

    Args:
        votes: number of neighbours of each class, the sample itself not among them.
        target: class index of each sample, 0 to c - 1, or its class probabilities.
        used: False for samples that do not count.
        pseudo_counts: of each class, above 0.
    """
    classes, total, c = as_probabilities(target, votes), votes.sum(1, keepdim=True), votes.shape[1]
    if not target.is_floating_point():  # of one class alone the share counts
        votes = (classes * votes).sum(1, keepdim=True)
    if used is not None:
        classes = torch.where(used[:, None], classes, 0)
    shares = ((votes + count) / (total + count * c) for count in pseudo_counts)
    return torch.stack([*((classes * share.log()).sum(0) for share in shares), classes.sum(0)])


def explained(scores: Float[Tensor, "rows c"]) -> Float[Tensor, ""]:
    """The share of the entropy of equally frequent classes that ``log_scores`` explain with the best pseudo-count.

    It is 0 without two classes.
    """
    sums, samples = scores[:-1], scores[-1]
    classes = (samples > FEWEST_SAMPLES).sum().clamp(min=1).to(sums.dtype)
    means = torch.where(samples > FEWEST_SAMPLES, sums / samples.clamp(min=FEWEST_SAMPLES), 0)
    # With one class the entropy is 0, and its share no number.
    return (1 + means.sum(1).amax() / (classes * classes.log())).nan_to_num(0, neginf=0).clamp(0, 1)


class Reliability(nn.Module):
    r"""The share of the classes' entropy that the votes of the latest batches explain, raised to a power.

    .. math:: s \leftarrow m \, s + s_\text{now}

    are the sums of the log scores, and the numbers of samples, of each class. So a short batch counts for less, and a
    rare class keeps its last scores. Its state is a buffer, so it moves with its parent module and is in its state
    dict. In eval mode it is only read.

    Args:
        momentum: weight m of the earlier batches, 0 to below 1.
        power: exponent of the share where it is used, above 0. With 2, soft labels that explain a third of the entropy
            count a ninth.
        pseudo_counts: of each class, above 0; the votes are scored by the best of them.

    Raises:
        InputError: a value out of its range.

    Example:
        >>> reliability = Reliability(momentum=0.5, power=1.0).resize(2)
        >>> now = log_scores(torch.tensor([[8.0, 0.0], [0.0, 8.0]]), torch.eye(2))
        >>> round(reliability(now).item(), 4)
        0.9982
    """

    scores: Float[Tensor, "rows c"]

    def __init__(
        self, *, momentum: float = 0.9, power: float = 2.0, pseudo_counts: Sequence[float] = PSEUDO_COUNTS
    ) -> None:
        super().__init__()
        self.momentum = number("momentum", momentum, least=0, below=1)
        self.power = number("power", power, above=0)
        self.pseudo_counts = [number("pseudo_counts", count, above=0) for count in pseudo_counts]
        self.register_buffer("scores", torch.zeros(len(self.pseudo_counts) + 1, 0))

    def resize(self, num_classes: int) -> "Reliability":
        """Makes it one of so many classes, unless it is already; ``OSAKDLoss`` does so."""
        if self.scores.shape[1] != num_classes:
            self.scores = self.scores.new_zeros(len(self.scores), num_classes)
        return self

    @property
    def value(self) -> Float[Tensor, ""]:
        """The share that is explained so far, 0 before the first batch; not raised to the power."""
        return explained(self.scores)

    @torch.no_grad()
    def forward(self, now: Float[Tensor, "rows c"] | None) -> Float[Tensor, ""]:
        """Takes up the ``log_scores`` of a batch, not in eval mode, and returns the share to the power."""
        if self.training and now is not None:
            self.scores.copy_((self.momentum * self.scores.to(now.dtype) + now).to(self.scores.dtype))
        return explained(self.scores).pow(self.power)

    def extra_repr(self) -> str:
        """The settings, for ``print``."""
        return f"momentum={self.momentum}, power={self.power}"
