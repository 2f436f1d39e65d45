"""The soft labels of the native executors: the kernel's, once they were compared with PyTorch's."""

from functools import cache

import torch
from torch import Tensor

from osakd.engine.executors.base import UnsupportedError
from osakd.labels.posterior import Pool, count_votes
from osakd.labels.reliability import Reliability
from osakd.losses.osakd import OSAKDLoss
from osakd.native.kernels.build import NoKernelError
from osakd.native.kernels.labels import native_labels, native_loss
from osakd.native.kernels.library import load

_TOLERANCE = 1e-4


def check_labels() -> None:
    """Compares a loss, its gradient and a search with PyTorch's, once in a process.

    Raises:
        UnsupportedError: they differ, or there is no kernel.
    """
    try:
        load()
    except NoKernelError as error:
        raise UnsupportedError(str(error)) from error
    if (difference := _difference()) > _TOLERANCE:
        raise UnsupportedError(
            f"the native kernel and PyTorch differ by {difference:.1g} on soft labels: please report it"
        )


@cache
def _difference() -> float:
    """The largest difference of a value."""
    generator = torch.Generator().manual_seed(0)
    target, valid = torch.arange(33) % 5, torch.arange(33) % 7 > 0
    logits = torch.randn(33, 5, generator=generator) + 2 * torch.eye(5)[target]
    pairs = zip(_values(logits, target, valid, native=True), _values(logits, target, valid, native=False), strict=True)
    return max(float((first - second).abs().max()) for first, second in pairs)


def _values(logits: Tensor, target: Tensor, valid: Tensor, *, native: bool) -> list[Tensor]:
    """The loss, its gradient, and the neighbours among some of the samples."""
    reliability = Reliability(momentum=0.0, power=2.0)
    as_method = {"include_self": False, "ignore_index": None, "gather": False}
    criterion = OSAKDLoss(5, 4, reliability=reliability, pseudo_count=0.5, label_smoothing=0.1, **as_method)
    inputs = logits.clone().requires_grad_()
    pool = Pool(logits, target, valid, torch.arange(33))
    if not native:
        votes, total = count_votes(logits, pool, 5, 4, include_self=False), criterion(inputs, target)
    else:
        with native_labels():
            votes, loss = count_votes(logits, pool, 5, 4, include_self=False), native_loss(criterion, inputs, target)
        total = logits.sum() if loss is None else loss.total
    total.backward()
    return [total.detach(), inputs.grad, votes.rows, votes.classes]  # type: ignore[list-item]
