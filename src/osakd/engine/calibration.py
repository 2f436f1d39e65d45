"""Temperature scaling: one number by which logits are divided, so that confidence is what accuracy is."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import InputError

LOWEST, HIGHEST = 0.1, 10.0
"""Temperatures are sought between these."""
PRIOR = 0.5
"""Standard deviation of the logarithm of a temperature before any image is seen."""
_HALVINGS = 24
TEMPERATURE = "temperature"
"""Name of the layer that divides the logits of a deployed network whose last layer is not linear."""


class Temperature(nn.Module):
    """Divides logits by a temperature, which is a buffer."""

    value: Tensor

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(value))

    def forward(self, logits: Tensor) -> Tensor:
        """The logits, divided."""
        return logits / self.value


@torch.no_grad()
def fit_temperature(logits: Float[Tensor, "m c"], target: Int[Tensor, " m"]) -> float:
    r"""The temperature T, from 0.1 to 10, by which logits are to be divided; it changes no prediction.

    .. math:: T = \arg\min_T \; m \, \mathrm{NLL}(z / T) + \frac{(\log T)^2}{2 \cdot 0.5^2}

    for the logits z of m samples: the most probable one, if its logarithm is normally distributed around 0. With
    hundreds of samples the prior does not matter; a network without a mistake on fifty is not taken for certain. Fit it
    on images that the network was not trained on.

    Args:
        logits: outputs of a network before the softmax, of at least one sample and 2 classes.
        target: class index of each.

    Raises:
        InputError: the shapes do not fit, or there is no sample.

    Example:
        >>> logits = torch.tensor([[4.0, 0.0]] * 4000)
        >>> temperature = fit_temperature(logits, torch.arange(4000) // 3000)
        >>> round((logits / temperature).softmax(1)[0, 0].item(), 2)
        0.75

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    if logits.ndim != 2 or logits.shape[1] < 2 or target.shape != logits.shape[:1] or not len(target):
        raise InputError(
            f"`logits` must be [samples, classes] and `target` [samples], got {list(logits.shape)} and "
            f"{list(target.shape)}."
        )
    logits = logits if logits.dtype == torch.float64 else logits.float()
    wanted = logits.gather(1, target[:, None]).sum()
    # The minimum lies between where the slope is negative and where it is positive.
    low, high = (logits.new_tensor(-math.log(temperature)) for temperature in (HIGHEST, LOWEST))
    slope = wanted
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        factor = middle.exp()
        slope = factor * (((logits * factor).softmax(1) * logits).sum() - wanted) + middle / PRIOR**2
        low, high = torch.where(slope > 0, low, middle), torch.where(slope > 0, middle, high)
    return math.exp(-float((low + high) / 2)) if slope.isfinite() else 1.0


def refined_nll(logits: Float[Tensor, "m c"], target: Int[Tensor, " m"]) -> tuple[float, float]:
    """The negative log-likelihood in nats at the best temperature, and this temperature.

    It says how much the outputs know, whatever their confidence.

    Reference:
        Berta et al., "Rethinking Early Stopping: Refine, Then Calibrate", 2025.
    """
    temperature = fit_temperature(logits, target)
    return F.cross_entropy(logits.double() / temperature, target).item(), temperature


def network_logits(network: nn.Module, inputs: Tensor | Mapping[str, Any]) -> Float[Tensor, "n c"]:
    """The logits of a batch; of a network of transformers, which takes names and returns ``logits`` among others."""
    outputs = network(**inputs) if isinstance(inputs, Mapping) else network(inputs)
    return getattr(outputs, "logits", outputs)


@torch.no_grad()
def divide_last_layer(network: nn.Module, temperature: float, inputs: Tensor | Mapping[str, Any]) -> bool:
    """Divides the layer that gives a network's outputs, where it is linear and used once; whether it was done."""
    made: list[Any] = []
    linear = [layer for layer in network.modules() if type(layer) is nn.Linear]
    hooks = [layer.register_forward_hook(lambda layer, _, output: made.append((layer, output))) for layer in linear]
    was_training = network.training
    try:
        outputs = network_logits(network.eval(), inputs)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    last = next((layer for layer, output in made if output is outputs), None)
    uses = [name for name, weight in network.named_parameters(remove_duplicate=False) if last and weight is last.weight]
    if last is None or len(uses) > 1 or sum(layer is last for layer, _ in made) > 1:
        return False
    for parameter in last.parameters():
        parameter.div_(temperature)
    return True
