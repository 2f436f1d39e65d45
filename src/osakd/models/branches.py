"""A network as a shared trunk and a head: it can be run up to a stage, and from a stage on.

A network shows its stages by being ``Sequential(normalise, network)`` with a network that is itself a Sequential of
named children, of which those called ``stage1``, ``layer2`` and so on are its stages.
"""

import re
from collections import OrderedDict

import torch
from torch import Tensor, nn

from osakd.errors import InputError, unknown_name

_STAGE = re.compile(r"(stage|layer)\d+")


def stages_of(network: nn.Module) -> list[str]:
    """The names of a network's stages, in order.

    Raises:
        InputError: the network does not show any.

    Example:
        >>> from osakd.models.build import build_model
        >>> stages_of(build_model("resnet8", num_classes=10, input_shape=(3, 32, 32)))
        ['stage1', 'stage2', 'stage3']
    """
    stages = [name for name in _children(network) if _STAGE.fullmatch(name)]
    if not stages:
        raise InputError(
            "This network does not show its stages: let its function return an nn.Sequential whose children are "
            "called stage1, stage2, ... (a ResNet, for example), or take a method without branches."
        )
    return stages


def shared_stage(network: nn.Module, name: str | None) -> str:
    """The last stage of the trunk: the one named, by default the last but one; an InputError if none is behind it."""
    stages = stages_of(network)
    if name is not None and name not in stages:
        raise unknown_name("stage", name, stages)
    if len(stages) < 2 or name == stages[-1]:
        raise InputError(
            f"Branches need a stage of their own behind the shared ones; this network has {', '.join(stages)}."
        )
    return stages[-2] if name is None else name


def run(network: nn.Module, x: Tensor, *, after: str | None = None, until: str | None = None) -> Tensor:
    """Runs a network's children after ``after`` up to and including ``until``; by default all of them."""
    names = list(_children(network))
    first = 0 if after is None else names.index(after) + 1
    last = len(names) if until is None else names.index(until) + 1
    for name in names[first:last]:
        x = _children(network)[name](x)
    return x


def head(network: nn.Module, share: str) -> nn.Sequential:
    """A network's children after a stage, as a network that ``run`` accepts."""
    children = _children(network)
    names = list(children)
    return nn.Sequential(OrderedDict((name, children[name]) for name in names[names.index(share) + 1 :]))


def channels_at(network: nn.Module, stage: str, input_shape: tuple[int, int, int]) -> int:
    """The number of channels of a stage's output; an InputError without maps, or for more than children in order."""
    features, same = _run_in_parts(network, stage, input_shape)
    if features.ndim != 4:
        raise InputError(
            f"Branches need maps [n, channels, h, w], but the stage {stage!r} gives {features.ndim} axes: let a stage "
            "end before the network is flattened."
        )
    if not same:
        raise InputError(
            "This network does more than its children in order, so it has no trunk to share: let its function return "
            "a plain nn.Sequential of its stages, or take a method without branches."
        )
    return features.shape[1]


def before_classifier(network: nn.Module, input_shape: tuple[int, int, int]) -> str:
    """The name of the child before a network's linear classifier; its output is the features.

    Raises:
        InputError: the last child is not a linear layer, or the network is more than its children in order.

    Example:
        >>> from osakd.models.build import build_model
        >>> before_classifier(build_model("lenet", num_classes=10, input_shape=(3, 32, 32)), (3, 32, 32))
        'hidden2'
    """
    names = list(_children(network))
    classified = len(names) > 1 and isinstance(_children(network)[names[-1]], nn.Linear)
    if not classified or not _run_in_parts(network, names[-2], input_shape)[1]:
        raise InputError(
            "This network does not show its features: let its function return a plain nn.Sequential whose last child "
            "is the linear classifier (a ResNet or a LeNet, for example), or take a method that needs no features."
        )
    return names[-2]


def _run_in_parts(network: nn.Module, stage: str, input_shape: tuple[int, int, int]) -> tuple[Tensor, bool]:
    """A stage's output for two images, and whether the children behind it give the network's output from it."""
    was_training = network.training
    images = torch.rand(2, *input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = run(network.eval(), images, until=stage)
        same = torch.allclose(run(network, features, after=stage), network(images), rtol=1e-3, atol=1e-4)
    network.train(was_training)
    return features, same


def _children(network: nn.Module) -> dict[str, nn.Module]:
    """The children of a network and of the network that it wraps, by name, in the order in which they run."""
    children: dict[str, nn.Module] = {}
    for name, child in network.named_children():
        is_wrapped = name == "network" and isinstance(child, nn.Sequential)
        children |= dict(child.named_children()) if is_wrapped else {name: child}
    return children
