r"""How reliable soft labels are: how much the votes of a sample's neighbours say about its class.

.. math:: r = 1 + \frac{1}{m \log m} \sum_{j} \frac{1}{n_j} \sum_{i: y_i = j}
    \log \frac{v_i[j] + \alpha}{\sum_l v_i[l] + \alpha c}

compares the votes v of the other samples with guessing among the m classes that the batch has, by a log score in which
every class counts the same, however few samples :math:`n_j` it has. It is 0 if the votes know nothing, or are worse
than that, and almost 1 if all neighbours are of the sample's class. Votes that only repeat how frequent the classes are
know nothing.
"""

from math import inf

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from osakd.errors import InputError
from osakd.labels.targets import as_probabilities


def vote_pseudo_count(num_classes: int) -> float:
    """The pseudo-count of every class, so that one without votes is not impossible; together at most one neighbour."""
    return min(0.1, 1 / num_classes)


@torch.no_grad()
def explained_entropy(
    votes: Float[Tensor, "n c"],
    target: Int[Tensor, " n"] | Float[Tensor, "n c"],
    used: Bool[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    """The share of the entropy of equally frequent classes that votes explain.

    Args:
        votes: weight of the neighbours of each class (at least 2), the sample itself not among them.
        target: class index of each sample, 0 to c - 1, or its class probabilities.
        used: False for samples that do not count.

    Returns:
        The share, from 0 to 1; 0 where fewer than two classes count.

    Example:
        >>> votes = torch.tensor([[8.0, 0.0], [0.0, 8.0]])
        >>> share = explained_entropy(votes, torch.tensor([0, 1]))
        >>> round(share.item(), 4), explained_entropy(votes, torch.tensor([1, 0])).item()
        (0.9823, 0.0)
        >>> explained_entropy(torch.tensor([[9.0, 1.0]]).expand(10, 2), torch.arange(10) // 9).item()
        0.0
    """
    pseudo_count = vote_pseudo_count(votes.shape[1])
    shares = (votes + pseudo_count) / (votes.sum(1, keepdim=True) + pseudo_count * votes.shape[1])
    counted = as_probabilities(target, shares)
    if used is not None:
        counted = torch.where(used[:, None], counted, 0)
    samples = counted.sum(0)
    scores = (counted * shares.log()).sum(0) / samples.clamp(min=torch.finfo(samples.dtype).tiny)
    classes = (samples > 0).sum().clamp(min=1).to(scores.dtype)
    # With one class the entropy is 0, and its share no number.
    return (1 + scores.sum() / (classes * classes.log())).nan_to_num(0, neginf=0).clamp(0, 1)


class Reliability(nn.Module):
    r"""The running mean of ``explained_entropy``, from 0 at the start, raised to a power.

    .. math:: r \leftarrow m \, r + (1 - m) \, r_\text{now}

    Its state is a buffer, so it moves with its parent module and is in its state dict. In eval mode it is only read.

    Args:
        momentum: weight m of the earlier values, 0 to below 1.
        power: exponent of the mean where it is used, above 0. With 2, soft labels that explain a third of the entropy
            count a ninth.

    Raises:
        InputError: a value out of its range.

    Example:
        >>> reliability = Reliability(momentum=0.5, power=1.0)
        >>> torch.stack([reliability(torch.tensor(0.8)) for _ in range(2)])
        tensor([0.4000, 0.6000])
    """

    value: Float[Tensor, ""]

    def __init__(self, *, momentum: float = 0.9, power: float = 2.0) -> None:
        if not 0 <= momentum < 1:
            raise InputError(f"`momentum` must be at least 0 and below 1, got {momentum}.")
        if not 0 < power < inf:
            raise InputError(f"`power` must be above 0 and finite, got {power}.")
        super().__init__()
        self.momentum, self.power = momentum, power
        self.register_buffer("value", torch.zeros(()))

    @torch.no_grad()
    def forward(self, now: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Takes up the value of a batch and returns the mean to the power; in eval mode it takes up nothing."""
        if self.training:
            self.value.copy_(self.momentum * self.value + (1 - self.momentum) * now.to(self.value.dtype))
        # Not the buffer itself: it changes at the next step, perhaps before the gradients of this one are computed.
        return self.value.pow(self.power)

    def extra_repr(self) -> str:
        """The settings, for ``print``."""
        return f"momentum={self.momentum}, power={self.power}"
