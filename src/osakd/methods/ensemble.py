"""The mean prediction of several networks."""

from collections.abc import Sequence
from math import log

import torch
from jaxtyping import Float
from torch import Tensor


def mean_prediction(logits: Sequence[Float[Tensor, "n c"]]) -> Float[Tensor, "n c"]:
    """The average of the probabilities of several networks, as logits.

    Example:
        >>> mean_prediction([torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, -torch.inf]])]).exp()
        tensor([[0.7500, 0.2500]])
    """
    return torch.stack([each.log_softmax(1) for each in logits]).logsumexp(0) - log(len(logits))
