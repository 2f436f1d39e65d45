r"""Offline distillation: a network learns from the classes and from a frozen teacher.

.. math:: L = w_h \, \mathrm{CE}(p, y) + w_s \, T^2 \, KL(q^T \| p^T)

Born-Again Networks and self-referenced deep learning are the same with a teacher of the network's own kind, trained
before it.

Reference:
    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; Furlanello et al., "Born-Again Neural
    Networks", ICML 2018; Lan et al., "Self-Referenced Deep Learning", ACCV 2018.
"""

import torch
from torch import Tensor, nn

from osakd.losses.distillation import Form, distillation_loss
from osakd.methods.base import Batch, BuildContext, LossTerms, Method, weighted_terms
from osakd.methods.ensemble import mean_prediction
from osakd.methods.settings.teachers import BornAgainSettings, KDSettings, SRDLSettings


class Distillation(Method):
    """One network that learns from its classes and from a teacher: the network of the stage before.

    Attributes:
        teacher: gives the soft targets; it is never trained, and always in eval mode.
        earlier: the networks of the stages before that one.
        form: form of the soft term, see ``distillation_loss``.
    """

    settings: KDSettings | SRDLSettings | BornAgainSettings

    frozen = ("teacher", "earlier")
    form: Form = "kl"

    def __init__(self, settings: KDSettings | SRDLSettings | BornAgainSettings, context: BuildContext) -> None:
        super().__init__(settings, context)
        self.teacher, *earlier = context.teachers
        self.earlier = nn.ModuleList(earlier)
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train()

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        settings, logits = self.settings, self.network(batch.images)
        with torch.no_grad():
            targets = self.teacher(batch.images)
        hard = self.cross_entropy(logits, batch.target)
        soft = distillation_loss(logits, targets, temperature=settings.temperature, form=self.form)
        return weighted_terms(hard, soft, settings.hard_weight, settings.soft_weight, logits)


class BornAgain(Distillation):
    """Distillation from the generation before, whose predictions are averaged with those of all generations."""

    form: Form = "cross_entropy"

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The network's outputs, and their average with those of the generations before it."""
        logits = self.network(images)
        earlier = [network(images) for network in (self.teacher, *self.earlier)]
        return {"student": logits, "ensemble": mean_prediction([logits, *earlier])}
