"""Builds networks by name. Torch is imported only to build one."""

import difflib
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.errors import InputError, one_line, unknown_name
from osakd.models.registry import MODELS

if TYPE_CHECKING:
    from torch import nn

    from osakd.models.normalise import Normalise


TIMM = "timm:"


def build_model(
    name: str,
    *,
    num_classes: int,
    input_shape: tuple[int, int, int],
    normalise: "Normalise | None" = None,
    pretrained: bool = False,
) -> "nn.Sequential":
    """Builds a network with its input normalisation in front; it takes float images in [0, 1] and returns logits.

    Args:
        name: a name of ``MODELS``; ``timm:NAME`` for a network of timm; or ``package.module:function`` for
            a function of your own, called with ``num_classes`` and ``input_shape``, that returns an ``nn.Module``.
        num_classes: number of classes.
        input_shape: channels, height and width of an image.
        normalise: first layer; by default images are scaled to [-1, 1].
        pretrained: a network of timm has its pretrained weights, a new head, and the input scaling of its training.

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

    from torch import nn

    from osakd.models.normalise import Normalise

    body = _build_body(name, num_classes, input_shape, pretrained=pretrained)
    channels = input_shape[0]
    if pretrained and name.startswith(TIMM):
        trained_with: Any = body.pretrained_cfg
        normalise = Normalise(*(_of_channels(trained_with[key], channels) for key in ("mean", "std")))
    normalise = normalise or Normalise([0.5] * channels, [0.5] * channels)
    network = nn.Sequential(OrderedDict(normalise=normalise, network=body))
    _check_outputs(network, name, num_classes, input_shape)
    return network


def expected_channels(name: str, *, num_classes: int, input_shape: tuple[int, int, int]) -> int:
    """Input channels of the network's first convolution; those of the images where it has none."""
    from torch import nn

    if name in MODELS:
        return input_shape[0]
    body = _build_body(name, num_classes, input_shape)
    return next((layer.in_channels for layer in body.modules() if isinstance(layer, nn.Conv2d)), input_shape[0])


def _of_channels(values: Sequence[float], channels: int) -> list[float]:
    """A value for each channel; the mean of all where there are others, since timm joins the channels so."""
    return list(values) if len(values) == channels else [sum(values) / len(values)] * channels


def _build_body(
    name: str, num_classes: int, input_shape: tuple[int, int, int], *, pretrained: bool = False
) -> "nn.Module":
    from torch import nn

    if name.startswith(TIMM):
        return _build_timm(name, num_classes, input_shape[0], pretrained)
    place, settings = (MODELS[name].place, MODELS[name].settings) if name in MODELS else (name, {})
    if ":" not in place:
        raise unknown_name("model", place, MODELS, "; or timm:NAME, or package.module:function for your own")
    build = _import_function(place)
    try:
        body = build(num_classes=num_classes, input_shape=input_shape, **settings)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a user's function may raise anything
        raise InputError(
            f"The model function {name!r} failed ({_words(error)}): it is called with num_classes={num_classes} and "
            f"input_shape={input_shape}."
        ) from error
    if not isinstance(body, nn.Module):
        raise InputError(f"The model function {name!r} must return an nn.Module, got {type(body).__name__}.")
    if not any(parameter.requires_grad for parameter in body.parameters()):
        kind = "trained parameters, all are frozen" if any(True for _ in body.parameters()) else "parameters"
        raise InputError(f"The network of {name!r} has no {kind}: there is nothing to train.")
    return body


def _build_timm(name: str, num_classes: int, channels: int, pretrained: bool) -> "nn.Module":
    """A network of timm, an optional package, whose import fails where torchvision does not fit torch."""
    try:
        timm = importlib.import_module("timm")
    except Exception as error:  # it may raise anything, as torchvision does
        raise InputError(
            f"Model {name!r} needs the package timm, which cannot be imported ({_words(error)}): pip install timm, "
            "and the torchvision that matches your torch."
        ) from error
    wanted = name.removeprefix(TIMM)
    if not timm.is_model(wanted):
        near = difflib.get_close_matches(wanted, timm.list_models(), n=3)
        guess = f"did you mean {' or '.join(TIMM + model for model in near)}?" if near else "see timm.list_models()."
        raise InputError(f"timm knows no model {wanted!r}; {guess}")
    try:
        return timm.create_model(wanted, pretrained=pretrained, num_classes=num_classes, in_chans=channels)
    except Exception as error:  # a network may have limits of its own
        raise InputError(
            f"timm cannot build {wanted!r} ({_words(error)}): it is called with pretrained={pretrained}, "
            f"num_classes={num_classes} and in_chans={channels}."
        ) from error


def _import_function(place: str) -> Callable[..., Any]:
    module_name, _, function = place.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        build = getattr(importlib.import_module(module_name), function)
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise InputError(
            f"The model function {place!r} cannot be imported ({_words(error)}): give package.module:function, "
            "importable from the current folder."
        ) from error
    if not callable(build):
        raise InputError(f"{place!r} is not a function but of type {type(build).__name__}.")
    return build


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def _check_outputs(network: "nn.Module", name: str, num_classes: int, input_shape: tuple[int, int, int]) -> None:
    """Checks the outputs for two black images in eval mode and in training mode; its buffers stay as they are."""
    import torch

    buffers = {key: buffer.clone() for key, buffer in network.named_buffers()}
    for training in (False, True):
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                outputs = network.train(training)(torch.zeros(2, *input_shape))
        except Exception as error:  # a user's network may raise anything
            shape = "x".join(map(str, input_shape))
            raise InputError(f"Model {name!r} cannot take images of {shape} ({_words(error)}).") from error
        mode = " in training mode" if training else ""
        if not isinstance(outputs, torch.Tensor):
            raise InputError(
                f"Model {name!r} returns a {type(outputs).__name__}{mode}: let it return a tensor of logits."
            )
        if tuple(outputs.shape) != (2, num_classes):
            raise InputError(
                f"Model {name!r} returns outputs of shape {list(outputs.shape)}{mode} for 2 images, but the data have "
                f"{num_classes} classes: let it return one logit per class."
            )
    for key, buffer in network.named_buffers():
        buffer.copy_(buffers[key])
