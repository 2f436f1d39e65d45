"""The networks by name, and how one is built. Torch is imported only to build one."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from osakd.errors import InputError, unknown_name

if TYPE_CHECKING:
    from torch import nn

    from osakd.models.normalise import Normalise


class KnownModel(NamedTuple):
    """Where a network is built, and what it is."""

    target: str
    description: str
    source: str


_PAPER = "Tzelepi and Tefas, ICME 2021, section IV-A"
MODELS = {
    "lenet": KnownModel("osakd.models.lenet:lenet", "conv 6, 16; FC 120, 84; 62,006 parameters on CIFAR-10", _PAPER),
    "lenet-fashion": KnownModel(
        "osakd.models.lenet:lenet_fashion", "conv 20, 50; FC 500; 431,080 parameters on Fashion-MNIST", _PAPER
    ),
    "lenet-digits": KnownModel(
        "osakd.models.lenet:lenet_digits", "conv 16, 32; FC 64; 13,706 parameters on digits", "osakd"
    ),
}


def build_model(
    name: str, *, num_classes: int, input_shape: tuple[int, int, int], normalise: "Normalise | None" = None
) -> "nn.Sequential":
    """The network ``name`` with its input normalisation in front; it takes float images in [0, 1] and gives logits.

    Args:
        name: a name of ``MODELS``, or ``package.module:function`` for a function of your own, called with
            ``num_classes`` and ``input_shape``, that returns an ``nn.Module``.
        num_classes: number of classes.
        input_shape: channels, height and width of an image.
        normalise: first layer; by default images are scaled to [-1, 1].

    Returns:
        ``Sequential(normalise, network)``.

    Raises:
        InputError: an unknown name, a function that cannot be imported, or a network that does not give one output
            per class for images of that shape.

    Example:
        >>> network = build_model("lenet", num_classes=10, input_shape=(3, 32, 32))
        >>> sum(parameter.numel() for parameter in network.parameters())
        62006
    """
    from collections import OrderedDict

    import torch
    from torch import nn

    from osakd.models.normalise import Normalise

    build = _import_function(MODELS[name].target if name in MODELS else name)
    body = build(num_classes=num_classes, input_shape=input_shape)
    if not isinstance(body, nn.Module):
        raise InputError(f"The model function {name!r} must return an nn.Module, got {type(body).__name__}.")
    channels = input_shape[0]
    normalise = normalise or Normalise([0.5] * channels, [0.5] * channels)
    network = nn.Sequential(OrderedDict(normalise=normalise, network=body))
    _check_outputs(network, name, num_classes, input_shape, torch)
    return network


def expected_channels(name: str, *, num_classes: int, input_shape: tuple[int, int, int]) -> int:
    """Input channels of the first convolution that a network of that name has; the images' own where it has none."""
    from torch import nn

    if name in MODELS:
        return input_shape[0]
    body = _import_function(name)(num_classes=num_classes, input_shape=input_shape)
    return next((layer.in_channels for layer in body.modules() if isinstance(layer, nn.Conv2d)), input_shape[0])


def _import_function(target: str) -> Callable[..., Any]:
    module_name, colon, function = target.partition(":")
    if not colon:
        raise unknown_name("model", target, MODELS, "; or package.module:function for your own")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"The model function {target!r} cannot be imported ({error}): give package.module:function, importable "
            "from the current folder."
        ) from error
    return found


def _check_outputs(
    network: "nn.Module", name: str, num_classes: int, input_shape: tuple[int, int, int], torch: Any
) -> None:
    """Runs two black images through the network, in eval mode, which leaves its buffers alone."""
    was_training = network.training
    try:
        with torch.no_grad():
            outputs = network.eval()(torch.zeros(2, *input_shape))
    except RuntimeError as error:
        shape = "x".join(map(str, input_shape))
        raise InputError(f"Model {name!r} cannot take images of {shape}: {str(error).splitlines()[0]}.") from error
    network.train(was_training)
    if tuple(outputs.shape) != (2, num_classes):
        raise InputError(
            f"Model {name!r} gives outputs of shape {list(outputs.shape)} for 2 images, but the data have "
            f"{num_classes} classes: let it return one logit per class."
        )
