"""Checks of what a user's loop passes as targets and indices. Values are read on the CPU in eager mode only.

Under ``torch.compile``, ``vmap`` and on a GPU a look at the values is impossible or would make the host wait: there, a
class index out of range is undefined, as it is for ``torch.nn.functional.cross_entropy`` on a GPU.
"""

import torch
from torch import Tensor

from osakd.errors import InputError


def check_tensor(name: str, value: object) -> None:
    """Checks that an argument is a tensor.

    Raises:
        InputError: it is something else, such as a list or a NumPy array.
    """
    if not isinstance(value, Tensor):
        raise InputError(f"`{name}` must be a tensor, got {type(value).__name__}: convert it with torch.as_tensor.")


def as_probabilities(target: Tensor, like: Tensor) -> Tensor:
    """Class probabilities ``[n, c]`` of targets, of the type and width of ``like``: 0 and 1 for class indices."""
    if not target.is_floating_point():
        # A comparison, not F.one_hot: that one cannot be mapped over replicas.
        target = target[:, None] == torch.arange(like.shape[1], device=target.device)
    return target.to(like.dtype)


def any_ignored(target: Tensor, num_classes: int, ignore_index: int | None = None) -> bool | None:
    """Checks class indices and says whether any of them is ``ignore_index``.

    Args:
        target: class indices.
        num_classes: number of classes.
        ignore_index: index that marks samples to leave out; None for none.

    Returns:
        True or False; None where the values cannot be read.

    Raises:
        InputError: an index below 0 or of at least ``num_classes`` that is not ``ignore_index``.
    """
    extremes = _extremes(target)
    if extremes is None:
        return None
    if extremes[0] >= 0 and extremes[1] < num_classes:
        return False
    wrong = (target < 0) | (target >= num_classes)
    if ignore_index is not None:
        wrong &= target != ignore_index
    if wrong.any():
        ignored = "" if ignore_index is None else f", or {ignore_index} (`ignore_index`)"
        raise InputError(
            f"`target` must hold class indices from 0 to {num_classes - 1}{ignored}, got {int(target[wrong][0])}: "
            "correct the labels or `num_classes`."
        )
    return True


def check_index(index: Tensor, num_samples: int) -> None:
    """Checks that indices are rows of a training set of ``num_samples`` samples.

    Raises:
        InputError: an index outside it.
    """
    extremes = _extremes(index)
    if extremes is not None and not (extremes[0] >= 0 and extremes[1] < num_samples):
        wrong = extremes[0] if extremes[0] < 0 else extremes[1]
        raise InputError(
            f"`index` must lie between 0 and {num_samples - 1} (the training set), got {wrong}: number the training "
            "samples with `WithIndex`, and call loss.eval() before other data."
        )


def _extremes(values: Tensor) -> tuple[int, int] | None:
    """The smallest and the largest value; None where there is none or where they cannot be read."""
    if torch.compiler.is_compiling() or values.device.type != "cpu" or not values.numel():
        return None
    try:
        lowest, highest = values.aminmax()
        return int(lowest), int(highest)
    except RuntimeError:  # mapped or fake tensors have no values
        return None
