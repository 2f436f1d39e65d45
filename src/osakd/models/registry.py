"""The networks by name: where each is built and what it is. Nothing here imports torch."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from osakd.errors import InputError, unknown_name


class KnownModel(NamedTuple):
    """A network: the ``module:function`` that builds it with these settings, what it is, and its publication."""

    place: str
    description: str
    source: str
    settings: Mapping[str, Any] = MappingProxyType({})


_PAPER = "Tzelepi and Tefas, ICME 2021, section IV-A"
_RESNET = "He et al., CVPR 2016"
# Blocks per stage, and parameters for 3x32x32 images of 10 classes.
_CIFAR_RESNETS = {1: 75_290, 3: 269_722, 5: 464_154, 7: 658_586, 9: 853_018, 18: 1_727_962}
MODELS = {
    "lenet": KnownModel(
        "osakd.models.lenet:lenet",
        "conv 6, 16; FC 120, 84; 62,006 parameters on CIFAR-10",
        _PAPER,
        {"convolutions": (6, 16), "hidden": (120, 84)},
    ),
    "lenet-fashion": KnownModel(
        "osakd.models.lenet:lenet",
        "conv 20, 50; FC 500; 431,080 parameters on Fashion-MNIST",
        _PAPER,
        {"convolutions": (20, 50), "hidden": (500,)},
    ),
    "lenet-digits": KnownModel(
        "osakd.models.lenet:lenet",
        "conv 16, 32; FC 64; 13,706 parameters on digits",
        "osakd",
        {"convolutions": (16, 32), "hidden": (64,), "kernel": 3, "padding": 1},
    ),
    **{
        f"resnet{6 * blocks + 2}{suffix}": KnownModel(
            "osakd.models.resnet:cifar_resnet",
            f"{3 * blocks} blocks, {shortcuts}; {parameters + more:,} parameters on CIFAR-10",
            _RESNET,
            {"blocks": blocks, "projection": projection},
        )
        for blocks, parameters in _CIFAR_RESNETS.items()
        for suffix, shortcuts, more, projection in (
            ("", "padded shortcuts (option A)", 0, False),
            ("-conv", "1x1-conv shortcuts", 2_752, True),
        )
    },
    "ds-cnn": KnownModel(
        "osakd.models.depthwise:ds_cnn",
        "5 depthwise-separable blocks, for small boards; 54,922 parameters on CIFAR-10",
        "Zhang et al., Hello Edge, 2017",
    ),
    "resnet50": KnownModel(
        "osakd.models.resnet:resnet50",
        "16 bottleneck blocks, as torchvision's; 25,557,032 parameters on ImageNet",
        _RESNET,
    ),
    "resnet50-small": KnownModel(
        "osakd.models.resnet:resnet50",
        "resnet50 with a 3x3 stem, for small images; 23,910,152 parameters on Tiny ImageNet",
        _RESNET,
        {"small": True},
    ),
}


def check_name(name: str) -> None:
    """Checks a network's name without building it: one of ``MODELS``, a function or timm's; else an InputError."""
    if name not in MODELS and ":" not in name:
        raise unknown_name("model", name, MODELS)


def is_function(name: str) -> bool:
    """Whether a name of a network is that of a function of the user's."""
    return name not in MODELS and not name.startswith("timm:")


def check_trusted(names: Iterable[str], folder: Path, *, trust: bool) -> None:
    """Checks that no network that a run's folder names is a function, whose code would run, without ``trust``."""
    for name in names:
        if is_function(name) and not trust:
            raise InputError(
                f"The run in {str(folder)!r} names a function as its network, {name!r}, whose code would run: give "
                "--trust (`trust=True`) if you know who made that folder."
            )
