r"""Offline distillation: a network learns from the classes and from a frozen teacher.

.. math:: L = w_h \, \mathrm{CE}(p, y) + w_s \, T^2 \, KL(q^T \| p^T)

Born-Again Networks and self-referenced deep learning are the same with a teacher of the network's own kind, trained
before it.

Reference:
    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; Furlanello et al., "Born-Again Neural
    Networks", ICML 2018; Lan et al., "Self-Referenced Deep Learning", ACCV 2018.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.losses.distillation import Form, distillation_loss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, weighted_terms
from osakd.methods.ensemble import mean_prediction
from osakd.methods.settings.teachers import BornAgainSettings, KDSettings, SRDLSettings


@final
class Distillation(Method):
    """One network that learns from classes and a teacher.

    Args:
        network: the network to train and deploy.
        teacher: gives the soft targets; it is never trained, and always in eval mode.
        hard_weight: weight of the cross-entropy with the classes.
        soft_weight: weight of the soft term, which contains the squared temperature.
        temperature: T, above 0.
        form: form of the soft term, see ``distillation_loss``.
        ensemble: report the average with the teacher and the earlier networks too.
        earlier: the networks before the teacher.
    """

    frozen = ("teacher", "earlier")
    of_each_image = ("network", *frozen)

    def __init__(
        self,
        network: nn.Module,
        teacher: nn.Module,
        *,
        hard_weight: float,
        soft_weight: float,
        temperature: float,
        form: Form = "kl",
        ensemble: bool = False,
        earlier: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.network, self.teacher, self.earlier = network, teacher, nn.ModuleList(earlier)
        self.hard_weight, self.soft_weight, self.temperature = hard_weight, soft_weight, temperature
        self.form: Form = form
        self.ensemble = ensemble
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train()

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        with torch.no_grad():
            targets = self.teacher(batch.images)
        hard = F.cross_entropy(logits, batch.target)
        soft = distillation_loss(logits, targets, temperature=self.temperature, form=self.form)
        return weighted_terms(hard, soft, self.hard_weight, self.soft_weight, logits)

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The network's outputs, and their average with those of the networks before it."""
        own = self.network(images)
        if not self.ensemble:
            return {"student": own}
        return {
            "student": own,
            "ensemble": mean_prediction([own, *(one(images) for one in (self.teacher, *self.earlier))]),
        }


def build_kd(settings: KDSettings, context: BuildContext) -> Distillation:
    """Builds ``kd``."""
    return Distillation(
        context.network,
        context.teachers[0],
        hard_weight=settings.hard_weight,
        soft_weight=settings.soft_weight,
        temperature=settings.temperature,
    )


def build_born_again(settings: BornAgainSettings, context: BuildContext) -> Distillation:
    """Builds ``born-again``: the source's temperature is 1, and its soft term a cross-entropy."""
    teacher, *earlier = context.teachers
    return Distillation(
        context.network,
        teacher,
        hard_weight=1.0,
        soft_weight=settings.soft_weight,
        temperature=1.0,
        form="cross_entropy",
        ensemble=True,
        earlier=earlier,
    )


def build_srdl(settings: SRDLSettings, context: BuildContext) -> Distillation:
    """Builds ``srdl``."""
    return Distillation(
        context.network,
        context.teachers[0],
        hard_weight=1.0,
        soft_weight=settings.soft_weight,
        temperature=settings.temperature,
    )
