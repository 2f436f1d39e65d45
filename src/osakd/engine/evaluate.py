"""Scores of a network on a split: accuracy, negative log-likelihood, calibration."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.data.arrays import DataArrays, Labels
from osakd.data.classes import listed, match_classes
from osakd.engine.calibration import refined_nll
from osakd.errors import InputError
from osakd.methods.base import Method

BATCH = 64
"""Number of images at once, where a run does not say it."""
REFINED = ("refined_nll", "temperature")
CALIBRATION_BINS = 15
_PART = 2**21
"""Logits that are raised to float64 at once: all of them would take four times their memory."""
TOP5_FROM = 100
"""Top-5 accuracy is reported for data with at least this many classes."""


class DeviceSplit(NamedTuple):
    """Images of 0 to 255 ``[m, h, w, channels]`` and class indices ``[m]`` on a device."""

    images: Tensor
    target: Tensor


def to_floats(images: Tensor) -> Float[Tensor, "n channels h w"]:
    """Converts stored images ``[n, h, w, channels]`` of 0 to 255 to floats in [0, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.get_default_dtype()).div_(255)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; the module's mode is restored afterwards."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)


def logits_of(network: nn.Module, split: DeviceSplit, *, batch_size: int = BATCH) -> Float[Tensor, "m c"]:
    """The outputs of a network in eval mode for every image of a split."""
    with evaluating(network):
        return torch.cat([network(to_floats(part)) for part in split.images.split(batch_size)])


def evaluate_method(
    method: Method, split: DeviceSplit, *, batch_size: int, refined: bool = False
) -> dict[str, dict[str, float]]:
    """Evaluates everything that a method predicts, by name, the deployed network first; see ``scores``."""
    with evaluating(method):
        parts = [method.predict(to_floats(part)) for part in split.images.split(batch_size)]
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return {name: scores(logits, split.target, refined=refined) for name, logits in joined.items()}


def probability_notes(network: nn.Module, split: DeviceSplit) -> list[str]:
    """A warning where a network returns probabilities instead of logits."""
    with evaluating(network):
        outputs = network(to_floats(split.images[:8]))
    sums = outputs.sum(1)
    if outputs.min() < 0 or not torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
        return []
    return [
        "Warning: the network returns probabilities (its outputs are positive and sum to 1), but the loss expects "
        "logits: remove the softmax at its end."
    ]


def outputs_on(network: nn.Module, data: DataArrays, device: torch.device) -> tuple[Tensor, Tensor]:
    """The logits ``[m, c]`` of a deployed network for the test images of a data set, and the class indices of these.

    The classes are matched by name with the network's ``class_names``; the data may lack some of them.

    Raises:
        InputError: the images' size does not fit the network, or it does not know their classes.
    """
    data = for_network(network, data)
    target = torch.from_numpy(target_of(network.class_names, data)).to(device)  # type: ignore[arg-type]
    split = DeviceSplit(torch.from_numpy(data.test.images).to(device), target)
    network = network.to(device)
    try:
        network(to_floats(split.images[:2]))
    except RuntimeError as error:
        shape = "x".join(map(str, data.input_shape))
        raise InputError(
            f"The network cannot take the images of {data.name!r} ({shape}): {str(error).splitlines()[0]}."
        ) from error
    return logits_of(network, split), target


def for_network(network: nn.Module, data: DataArrays) -> DataArrays:
    """The data with the number of channels that a deployed network expects, where that is grey or colour."""
    channels: int = network.input_shape[0]  # type: ignore[index,assignment] - as all loaded networks have it
    return data.with_channels(channels) if channels in (1, 3) else data


def target_of(known: tuple[str, ...], data: DataArrays) -> Labels:
    """The class indices of the test images in a network's own numbers, by name; an InputError for an unknown class."""
    indices = match_classes(known, data.class_names)
    if any(indices[label] is None for label in np.unique(data.test.target).tolist()):
        raise InputError(
            f"The network knows the classes {listed(known)}, but {data.name!r} has {listed(data.class_names)}: take "
            "data whose classes have the same names."
        )
    return np.array([-1 if index is None else index for index in indices])[data.test.target]


def final_scores(logits: Float[Tensor, "m c"], target: Int[Tensor, " m"]) -> dict[str, float]:
    """The scores of a trained network: those of ``scores``, and the mean of the classes' accuracies."""
    right = (logits.argmax(1) == target).double()
    of_classes = torch.stack([right[target == label].mean() for label in target.unique()])
    return scores(logits, target) | {"balanced_accuracy": of_classes.mean().item()}


def scores(logits: Float[Tensor, "m c"], target: Int[Tensor, " m"], *, refined: bool = False) -> dict[str, float]:
    """Accuracy, NLL (nats), ECE, top-5 from 100 classes on; ``refined_nll`` with its ``temperature`` if asked for.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
        >>> values = scores(logits, torch.tensor([0, 1, 1]))
        >>> round(values["accuracy"], 3), round(values["nll"], 3)
        (0.667, 0.856)
    """
    parts = zip(logits.split(_rows(logits)), target.split(_rows(logits)), strict=True)
    nll = [F.cross_entropy(of_part.double(), of_target, reduction="none") for of_part, of_target in parts]
    values = {
        "accuracy": (logits.argmax(1) == target).double().mean(),
        "nll": torch.cat(nll).mean(),
        "ece": expected_calibration_error(logits, target),
    }
    if logits.shape[1] >= TOP5_FROM:
        values["top5"] = (logits.topk(5, dim=1).indices == target[:, None]).any(1).double().mean()
    # One transfer for all of them.
    floats = dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
    return floats | (dict(zip(REFINED, refined_nll(logits, target), strict=True)) if refined else {})


def expected_calibration_error(logits: Float[Tensor, "m c"], target: Int[Tensor, " m"]) -> Float[Tensor, ""]:
    r"""Expected calibration error: the mean gap between accuracy and confidence over 15 bins of equal width.

    .. math:: \sum_b \frac{|b|}{m} \, |\mathrm{accuracy}(b) - \mathrm{confidence}(b)|

    Example:
        Four predictions with confidence 0.88, of which two are right: the error is 0.88 - 0.50.

        >>> logits = torch.tensor([[2.0, 0.0]] * 4)
        >>> round(expected_calibration_error(logits, torch.tensor([0, 0, 1, 1])).item(), 2)
        0.38

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. (3); a bin includes its upper edge.
    """
    best = [part.double().softmax(1).max(1) for part in logits.split(_rows(logits))]
    confidence, predicted = (torch.cat(parts) for parts in zip(*best, strict=True))
    gap = (predicted == target).double() - confidence
    bins = (confidence * CALIBRATION_BINS).ceil().long().sub(1).clamp(0, CALIBRATION_BINS - 1)
    sums = torch.zeros(CALIBRATION_BINS, dtype=gap.dtype, device=gap.device).index_add_(0, bins, gap)
    return sums.abs().sum() / len(target)


def _rows(logits: Tensor) -> int:
    return max(1, _PART // logits.shape[1])
