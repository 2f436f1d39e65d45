r"""How reliable soft labels are: how much the votes of a sample's neighbours say about its class.

.. math:: r = 1 + \frac{1}{n \log c} \sum_i \log \frac{v_i[y_i] + \alpha}{\sum_j v_i[j] + \alpha c}

is the share of the classes' entropy (:math:`\log c`) that the votes v of the other samples explain, by a log score: 0
if the votes know nothing, or are worse than that, and almost 1 if all neighbours are of the sample's class.
"""

from math import inf, log

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from osakd.errors import InputError

PSEUDO_COUNT = 0.1
"""Pseudo-count of every class: a class without votes is not impossible."""


@torch.no_grad()
def explained_entropy(
    votes: Float[Tensor, "n c"],
    target: Int[Tensor, " n"] | Float[Tensor, "n c"],
    used: Bool[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    """The share of the classes' entropy that votes explain.

    Args:
        votes: weight of the neighbours of each class (at least 2), the sample itself not among them.
        target: class index of each sample, 0 to c - 1, or its class probabilities.
        used: False for samples that do not count.

    Returns:
        The share, from 0 to 1; 0 where no sample counts.

    Example:
        >>> votes = torch.tensor([[8.0, 0.0], [0.0, 8.0]])
        >>> share = explained_entropy(votes, torch.tensor([0, 1]))
        >>> round(share.item(), 4), explained_entropy(votes, torch.tensor([1, 0])).item()
        (0.9823, 0.0)
    """
    classes = votes.shape[1]
    shares = (votes + PSEUDO_COUNT) / (votes.sum(1, keepdim=True) + PSEUDO_COUNT * classes)
    if target.is_floating_point():
        scores = (target.to(shares.dtype) * shares.log()).sum(1)
    else:
        own = target if used is None else torch.where(used, target, 0)
        scores = shares.gather(1, own[:, None]).squeeze(1).log()
    explained = 1 + scores / log(classes)
    if used is None:
        return explained.mean().clamp(0, 1)
    return (torch.where(used, explained, 0).sum() / used.sum().clamp(min=1)).clamp(0, 1)


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
