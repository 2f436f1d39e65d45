r"""Deep mutual learning: networks that are trained together, each from the classes and from the others.

.. math:: L_k = \mathrm{CE}(p_k, y) + \frac{1}{K - 1} \sum_{l \ne k} KL(p_l \| p_k)

No gradient flows into the networks that a network learns from.

Reference:
    Zhang et al., "Deep Mutual Learning", CVPR 2018, eq. (5) to (8).
"""

import torch
from torch import Tensor, nn

from osakd.errors import InputError
from osakd.losses.distillation import distillation_loss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, joint_loss, suffix
from osakd.methods.ensemble import mean_prediction
from osakd.methods.settings.networks import DMLSettings


class MutualLearning(Method):
    """Networks of the same or of different kinds that teach each other, the first deployed; needs at least one peer."""

    settings: DMLSettings

    def __init__(self, settings: DMLSettings, context: BuildContext) -> None:
        if not settings.peers:
            raise InputError(
                "Mutual learning needs at least one other peer, got none: name it or resolve the settings."
            )
        super().__init__(settings, context)
        self.peers = nn.ModuleList(context.build_network(peer) for peer in settings.peers)

    def forward(self, batch: Batch) -> LossTerms:
        """The sum of the peers' losses; the parts are named by peer, the first without a number."""
        logits = [peer(batch.images) for peer in (self.network, *self.peers)]
        students = []
        for number, outputs in enumerate(logits):
            others = [distillation_loss(outputs, other) for other in logits if other is not outputs]
            students.append((suffix(number), self.cross_entropy(outputs, batch.target), torch.stack(others).mean()))
        return joint_loss(students, self.settings.soft_weight, logits[0])

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs of each peer, and their average."""
        each = [peer(images) for peer in (self.network, *self.peers)]
        others = {f"peer{number}": logits for number, logits in enumerate(each[1:], start=2)}
        return {"student": each[0], **others, "ensemble": mean_prediction(each)}
