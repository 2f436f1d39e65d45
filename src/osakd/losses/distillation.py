r"""Distillation towards the outputs of another network: the soft terms of KD, Born-Again, SRDL, DML, ONE and FFL.

Reference:
    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015 (temperature and its square); Lan et al.,
    "Knowledge Distillation by On-the-Fly Native Ensemble", NeurIPS 2018 (the ramp).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from osakd.errors import InputError, unknown_name

Form = Literal["kl", "cross_entropy"]
FORMS: tuple[Form, ...] = ("kl", "cross_entropy")


def distillation_loss(
    logits: Float[Tensor, "n c"],
    target_logits: Float[Tensor, "n c"],
    *,
    temperature: float = 1.0,
    form: Form = "kl",
) -> Float[Tensor, ""]:
    r"""Distance of the softened outputs from softened targets, averaged over the batch.

    With :math:`p^T = \mathrm{softmax}(z / T)` it is :math:`T^2 \, KL(q^T \| p^T)`, where q are the targets, or the
    cross-entropy :math:`-T^2 \sum q^T \log p^T`, which has the same gradient and is larger by the targets' entropy.

    Args:
        logits: logits of the student.
        target_logits: logits of the teacher; no gradient flows into them.
        temperature: T, above 0.
        form: form of the loss, ``kl`` or ``cross_entropy``.

    Returns:
        The loss, a scalar, at least float32.

    Raises:
        InputError: a value out of its range.

    Example:
        >>> z = torch.tensor([[1.0, 0.0]])
        >>> distillation_loss(z, z).item(), round(distillation_loss(z, -z).item(), 4)
        (0.0, 0.4621)
    """
    if temperature <= 0:
        raise InputError(f"`temperature` must be above 0, got {temperature}.")
    if form not in FORMS:
        raise unknown_name("form", form, FORMS)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_p = (logits.to(dtype) / temperature).log_softmax(1)
    log_q = (target_logits.detach().to(dtype) / temperature).log_softmax(1)
    per_class = log_q.exp() * ((log_q - log_p) if form == "kl" else -log_p)
    return temperature**2 * per_class.sum(1).mean()


def ramp(progress: Float[Tensor, "..."], end: float) -> Float[Tensor, "..."]:
    r"""The weight :math:`\exp(-5 (1 - \min(t, e) / e)^2)`, which rises from almost 0 to 1.

    Args:
        progress: t, share of the schedule done, from 0 to 1.
        end: e, where the ramp ends, above 0; ONE and FFL end it after 80 of 300 epochs.

    Example:
        >>> ramp(torch.tensor([0.0, 0.1, 0.2, 1.0]), 0.2)
        tensor([0.0067, 0.2865, 1.0000, 1.0000])
    """
    return torch.exp(-5 * (1 - (progress / end).clamp(max=1)) ** 2)
