r"""Codistillation: copies of a network that are trained together, each from older weights of the others.

.. math:: L_i = \mathrm{CE}(p_i, y) + w(t) \, \mathrm{CE}(p_i, \bar q_{-i})

where the target is the mean prediction of the other copies in eval mode, with their weights at the last exchange; w is
0 during the burn-in. In the paper each copy may see its own data; here all see the same batches.

Reference:
    Anil et al., "Large scale distributed neural network training through online distillation", ICLR 2018.
"""

import copy
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import InputError
from osakd.losses.distillation import distillation_loss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, joint_loss, suffix
from osakd.methods.ensemble import mean_prediction
from osakd.methods.settings.networks import CodistillationSettings

Itself = TypeVar("Itself", bound="Codistillation")


@final
class Codistillation(Method):
    """Copies of one network, with different initial weights.

    Args:
        network: the first copy, which is deployed.
        copies: the other copies, at least one.
        burn_in: share of the schedule that is trained without the soft term, 0 to 1.
        refresh: steps from one exchange of weights to the next, at least 1.
        soft_weight: weight of the soft term after the burn-in.

    Raises:
        InputError: no other copy.
    """

    of_each_image = ("network", "copies", "stale")

    def __init__(
        self,
        network: nn.Module,
        copies: Sequence[nn.Module],
        *,
        burn_in: float,
        refresh: int,
        soft_weight: float,
    ) -> None:
        if not copies:
            raise InputError("Codistillation needs at least one other copy, got none.")
        super().__init__()
        self.network, self.copies = network, nn.ModuleList(copies)
        # The weights of the last exchange. They are in the checkpoint: the current weights do not determine them.
        self.stale = nn.ModuleList(copy.deepcopy([network, *copies])).requires_grad_(False)
        self.burn_in, self.refresh, self.soft_weight = burn_in, refresh, soft_weight
        self.train()

    def train(self: Itself, mode: bool = True) -> Itself:
        """Sets training or eval mode; the older weights always predict in eval mode."""
        super().train(mode)
        self.stale.eval()
        return self

    def forward(self, batch: Batch) -> LossTerms:
        """The sum of the copies' losses; the parts are named by copy, the first without a number."""
        with torch.no_grad():
            self._exchange(batch.step % self.refresh == 0)
            old = [network(batch.images) for network in self.stale]
        weight = self.soft_weight * (batch.progress >= self.burn_in)
        each = [network(batch.images) for network in (self.network, *self.copies)]
        students = []
        for number, logits in enumerate(each):
            target = mean_prediction([other for place, other in enumerate(old) if place != number])
            soft = distillation_loss(logits, target, form="cross_entropy")
            students.append((suffix(number), F.cross_entropy(logits, batch.target), soft))
        return joint_loss(students, weight, each[0])

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs of each copy, and their average."""
        each = [network(images) for network in (self.network, *self.copies)]
        others = {f"copy{number}": logits for number, logits in enumerate(each[1:], start=2)}
        return {"student": each[0], **others, "ensemble": mean_prediction(each)}

    def _exchange(self, due: Tensor) -> None:
        """Copies the current weights and buffers if an exchange is due, without a branch for CUDA graphs."""
        for old, network in zip(self.stale, (self.network, *self.copies), strict=True):
            before, now = (chain(one.parameters(), one.buffers()) for one in (old, network))
            for kept, value in zip(before, now, strict=True):
                kept.copy_(torch.where(due, value, kept))


def build(settings: CodistillationSettings, context: BuildContext) -> Codistillation:
    """Builds ``codistillation``."""
    return Codistillation(
        context.network,
        [context.build_network(None) for _ in range(settings.copies - 1)],
        burn_in=settings.burn_in,
        refresh=settings.refresh,
        soft_weight=settings.soft_weight,
    )
