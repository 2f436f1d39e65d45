r"""On-the-fly native ensemble (ONE): branches on a shared trunk learn from their gated ensemble.

.. math:: L = \sum_b \mathrm{CE}(z_b) + \mathrm{CE}(z_e) + w(t) \sum_b T^2 \, KL(p_e^T \| p_b^T), \quad
          z_e = \sum_b g_b z_b

The gate g is a softmax over the branches, computed from the trunk's pooled output; no gradient flows through the soft
targets, and w is ``losses.distillation.ramp``.

Reference:
    Lan, Zhu and Gong, "Knowledge Distillation by On-the-Fly Native Ensemble", NeurIPS 2018.
"""

import torch
from torch import Tensor, nn

from osakd.losses.distillation import distillation_loss, ramp
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, joint_loss, suffix
from osakd.methods.ensemble import mean_prediction
from osakd.methods.settings.networks import ONESettings
from osakd.models.branches import channels_at, head, run, shared_stage


class NativeEnsemble(Method):
    """A network with further heads on its trunk; the plain network, which must have stages, is deployed.

    Raises:
        InputError: a network that does not show its stages, or an unknown stage.
    """

    settings: ONESettings

    def __init__(self, settings: ONESettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        self.share = shared_stage(self.network, settings.share)
        others = range(settings.branches - 1)
        self.heads = nn.ModuleList([head(context.build_network(None), self.share) for _ in others])
        channels = channels_at(self.network, self.share, context.input_shape)
        self.gate = nn.Sequential(nn.Linear(channels, settings.branches), nn.BatchNorm1d(settings.branches), nn.ReLU())

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch; the parts are named by branch, the first without a number."""
        *branches, gated = self._outputs(batch.images)
        weight = ramp(batch.progress, self.settings.ramp_end)
        students = [
            (
                suffix(number),
                self.cross_entropy(logits, batch.target),
                distillation_loss(logits, gated, temperature=self.settings.temperature),
            )
            for number, logits in enumerate(branches)
        ]
        return joint_loss(students, weight, branches[0], hard_gated=self.cross_entropy(gated, batch.target))

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs of each branch, their average, and the gated ensemble."""
        *branches, gated = self._outputs(images)
        others = {f"branch{number}": logits for number, logits in enumerate(branches[1:], start=2)}
        return {"student": branches[0], **others, "ensemble": mean_prediction(branches), "gated": gated}

    def _outputs(self, images: Tensor) -> list[Tensor]:
        """The logits of every branch, and last those of the gated ensemble."""
        features = run(self.network, images, until=self.share)
        branches = [run(self.network, features, after=self.share), *(head(features) for head in self.heads)]
        gate = self.gate(features.mean((2, 3))).softmax(1)
        return [*branches, (gate[:, :, None] * torch.stack(branches, dim=1)).sum(1)]
