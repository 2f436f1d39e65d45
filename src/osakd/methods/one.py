r"""On-the-fly native ensemble (ONE): branches on a shared trunk learn from their gated ensemble.

.. math:: L = \sum_b \mathrm{CE}(z_b) + \mathrm{CE}(z_e) + w(t) \sum_b T^2 \, KL(p_e^T \| p_b^T), \quad
          z_e = \sum_b g_b z_b

The gate g is a softmax over the branches, computed from the trunk's pooled output; no gradient flows through the soft
targets, and w is ``losses.distillation.ramp``.

Reference:
    Lan, Zhu and Gong, "Knowledge Distillation by On-the-Fly Native Ensemble", NeurIPS 2018.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.losses.distillation import distillation_loss, ramp
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, joint_loss, suffix
from osakd.methods.ensemble import mean_prediction
from osakd.methods.settings.networks import ONESettings
from osakd.models.branches import channels_at, head, run, shared_stage


@final
class NativeEnsemble(Method):
    """A network with further heads on its trunk; the plain network is deployed.

    Args:
        network: a network with stages, see ``models.branches``.
        heads: further heads after the shared stage, at least one.
        share: last stage of the trunk.
        channels: number of channels of that stage's output.
        temperature: T, above 0.
        ramp_end: share of the schedule at which the soft term has its full weight.
    """

    of_each_image = ("_outputs",)

    def __init__(
        self,
        network: nn.Module,
        heads: Sequence[nn.Module],
        *,
        share: str,
        channels: int,
        temperature: float,
        ramp_end: float,
    ) -> None:
        super().__init__()
        self.network, self.heads = network, nn.ModuleList(heads)
        branches = len(heads) + 1
        self.gate = nn.Sequential(nn.Linear(channels, branches), nn.BatchNorm1d(branches), nn.ReLU())
        self.share, self.temperature, self.ramp_end = share, temperature, ramp_end

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch; the parts are named by branch, the first without a number."""
        *branches, gated = self._outputs(batch.images)
        weight = ramp(batch.progress, self.ramp_end)
        students = [
            (
                suffix(number),
                F.cross_entropy(logits, batch.target),
                distillation_loss(logits, gated, temperature=self.temperature),
            )
            for number, logits in enumerate(branches)
        ]
        return joint_loss(students, weight, branches[0], hard_gated=F.cross_entropy(gated, batch.target))

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


def build(settings: ONESettings, context: BuildContext) -> NativeEnsemble:
    """Builds ``one``.

    Raises:
        InputError: a network that does not show its stages, or an unknown stage.
    """
    network, share = context.network, shared_stage(context.network, settings.share)
    return NativeEnsemble(
        network,
        [head(context.build_network(None), share) for _ in range(settings.branches - 1)],
        share=share,
        channels=channels_at(network, share, context.input_shape),
        temperature=settings.temperature,
        ramp_end=settings.ramp_end,
    )
