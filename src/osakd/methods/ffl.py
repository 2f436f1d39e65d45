r"""Feature fusion learning (FFL): two sub-networks and a classifier on their fused features teach each other.

.. math:: L = \sum_{s = 1, 2} \mathrm{CE}(z_s) + \mathrm{CE}(z_f) + w(t) \, T^2
          \Big[ \sum_s KL(p_f^T \| p_s^T) + KL(p_e^T \| p_f^T) \Big], \quad z_e = (z_1 + z_2) / 2

The sub-networks share a trunk, or are two whole networks. No gradient flows through the soft targets, and w is
``losses.distillation.ramp``.

Reference:
    Kim, Hyun, Chung and Kwak, "Feature Fusion for Online Mutual Knowledge Distillation", ICPR 2020.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from osakd.errors import InputError
from osakd.losses.distillation import distillation_loss, ramp
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, joint_loss
from osakd.methods.settings.networks import FFLSettings
from osakd.models.branches import channels_at, head, run, shared_stage, stages_of


class FeatureFusion(Method):
    """Two sub-networks and a fusion module; the first sub-network, which must have stages, is deployed.

    Attributes:
        other: the second sub-network: a head behind the stage ``share``, or a whole network where that is None.
        fusion: gives logits from the outputs of the last stages of both.

    Raises:
        InputError: a network that does not show its stages, or an unknown stage.
    """

    settings: FFLSettings

    def __init__(self, settings: FFLSettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        peer = context.build_network(settings.peer)
        self.last_stages = (stages_of(self.network)[-1], stages_of(peer)[-1])
        self.share = shared_stage(self.network, settings.share) if settings.shared else None
        first, second = self.last_stages
        channels = (
            channels_at(self.network, first, context.input_shape),
            channels_at(peer, second, context.input_shape),
        )
        self.other = peer if self.share is None else head(peer, self.share)
        self.fusion = Fusion(channels, context.num_classes)

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch; the second sub-network's parts end in ``_2``, the fused classifier's in ``_fused``."""
        first, second, fused = self._outputs(batch.images)
        weight = ramp(batch.progress, self.settings.ramp_end)
        students = [
            (
                name,
                self.cross_entropy(logits, batch.target),
                distillation_loss(logits, target, temperature=self.settings.temperature),
            )
            for name, logits, target in (
                ("", first, fused),
                ("_2", second, fused),
                ("_fused", fused, (first + second) / 2),
            )
        ]
        return joint_loss(students, weight, first)

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs of both sub-networks, the mean of their logits, and those of the fused classifier."""
        first, second, fused = self._outputs(images)
        return {"student": first, "branch2": second, "ensemble": (first + second) / 2, "fused": fused}

    def weight_decays(self) -> dict[str, float]:
        """The fusion module's."""
        return {"fusion": self.settings.fusion_weight_decay}

    def _outputs(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The logits of the sub-networks and of the fused classifier."""
        shared = images if self.share is None else run(self.network, images, until=self.share)
        first, second = self.last_stages
        maps = (
            run(self.network, shared, after=self.share, until=first),
            run(self.other, shared, until=second),
        )
        return (
            run(self.network, maps[0], after=first),
            run(self.other, maps[1], after=second),
            self.fusion(*maps),
        )


class Fusion(nn.Module):
    """A classifier on the concatenated feature maps of two networks: depthwise 3x3, pointwise, average, linear.

    A 1x1 convolution matches the second network's channels to the first's.
    """

    def __init__(self, channels: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        first, second = channels
        self.match = nn.Identity() if first == second else nn.Conv2d(second, first, 1, bias=False)
        self.depthwise = nn.Conv2d(2 * first, 2 * first, 3, padding=1, groups=2 * first, bias=False)
        self.bn1 = nn.BatchNorm2d(2 * first)
        self.pointwise = nn.Conv2d(2 * first, first, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(first)
        self.fc = nn.Linear(first, num_classes)

    def forward(self, first: Float[Tensor, "n c1 h w"], second: Float[Tensor, "n c2 h2 w2"]) -> Float[Tensor, "n c"]:
        """Logits; an InputError for maps of different sizes."""
        if first.shape[2:] != second.shape[2:]:
            sizes = " and ".join("x".join(map(str, maps.shape[2:])) for maps in (first, second))
            raise InputError(f"The two networks' last feature maps must be of one size to be fused, got {sizes}.")
        x = torch.cat([first, self.match(second)], dim=1)
        x = self.bn1(self.depthwise(x)).relu()
        x = self.bn2(self.pointwise(x)).relu()
        return self.fc(x.mean((2, 3)))
