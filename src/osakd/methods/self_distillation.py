"""Plain training, label smoothing, OSAKD and its controls: one network, one stage, no teacher.

Reference:
    Tzelepi and Tefas, ICME 2021 (OSAKD); Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
    CVPR 2016, section 7 (label smoothing).
"""

from collections.abc import Callable
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import InputError
from osakd.losses.osakd import OSAKDLoss
from osakd.losses.terms import loss_parts
from osakd.methods.base import Batch, LossTerms, Method

Control = Literal["uniform", "shuffled"]


@final
class SelfDistillation(Method):
    """One network trained on its classes, smoothed classes, or its classes and its own neighbours' soft labels.

    Args:
        network: the network to train; it gives logits.
        criterion: the OSAKD loss; without one, training is plain.
        smoothing: label smoothing for training without a criterion, 0 (none) to below 1.
        control: ``uniform`` or ``shuffled`` soft labels instead of the criterion's, see ``CONTROLS``.

    Raises:
        InputError: smoothing out of its range, or given together with a criterion.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: OSAKDLoss | None = None,
        *,
        smoothing: float = 0.0,
        control: Control | None = None,
    ) -> None:
        if not 0 <= smoothing < 1:
            raise InputError(f"`smoothing` must be at least 0 and below 1, got {smoothing}.")
        if smoothing and criterion is not None:
            raise InputError("`smoothing` goes with plain training: give either a criterion or a smoothing.")
        super().__init__()
        self.network, self.criterion, self.smoothing = network, criterion, smoothing
        self.control: Control | None = control

    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch."""
        logits = self.network(batch.images)
        if self.criterion is None:
            hard = F.cross_entropy(logits, batch.target, label_smoothing=self.smoothing)
            return LossTerms(hard, {"total": hard.detach()}, logits)
        if self.control is None:
            terms = self.criterion.terms(logits, batch.target, batch.index)
        else:
            terms = loss_parts(
                logits,
                batch.target,
                CONTROLS[self.control](self.criterion, logits, batch),
                soft_weight=self.criterion.soft_weight,
                divergence=self.criterion.divergence,
                balance=self.criterion.balance,
            )
        parts = {name: getattr(terms, name).detach() for name in terms._fields if name != "soft_labels"}
        return LossTerms(terms.total, parts | diagnostics(terms.soft_labels, batch.target), logits)


def uniform_labels(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Tensor:
    """Labels ``[n, c]`` with OSAKD's mean true-class mass at this step, and the rest spread over the other classes.

    They smooth as strongly as OSAKD's labels, and know nothing of the neighbours' classes.
    """
    labels = criterion.soft_labels(logits, batch.target, batch.index)
    mass = labels.gather(1, batch.target[:, None]).mean()
    true = batch.target[:, None] == torch.arange(labels.shape[1], device=labels.device)
    return torch.where(true, mass, (1 - mass) / (labels.shape[1] - 1))


def shuffled_labels(criterion: OSAKDLoss, logits: Tensor, batch: Batch) -> Tensor:
    """OSAKD's labels ``[n, c]`` with the classes of the batch permuted: each sample lends its class to the next one.

    A batch is in random order, so this is a random permutation.
    """
    return criterion.soft_labels(logits, batch.target.roll(1), batch.index)


CONTROLS: dict[Control, Callable[[OSAKDLoss, Tensor, Batch], Tensor]] = {
    "uniform": uniform_labels,
    "shuffled": shuffled_labels,
}


@torch.no_grad()
def diagnostics(soft_labels: Tensor, target: Tensor) -> dict[str, Tensor]:
    """How much the soft labels ``[n, c]`` say, averaged over the batch.

    Returns:
        ``soft_label_mass``: probability of the true class; ``soft_label_entropy``: in nats; ``soft_label_agreement``:
        share of samples whose most probable class is the true one (of equal ones the lowest class counts).
    """
    return {
        "soft_label_mass": soft_labels.gather(1, target[:, None]).mean(),
        "soft_label_entropy": -torch.xlogy(soft_labels, soft_labels).sum(1).mean(),
        "soft_label_agreement": (soft_labels.argmax(1) == target).to(soft_labels.dtype).mean(),
    }
