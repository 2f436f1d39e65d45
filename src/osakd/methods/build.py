"""How each method is built from its settings, around a network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from osakd.labels.average import LabelAverage
from osakd.labels.memory import OutputMemory
from osakd.losses.osakd import OSAKDLoss
from osakd.methods.base import Method
from osakd.methods.codistillation import Codistillation
from osakd.methods.dml import MutualLearning
from osakd.methods.ffl import FeatureFusion, Fusion
from osakd.methods.kd import Distillation
from osakd.methods.one import NativeEnsemble
from osakd.methods.self_distillation import SelfDistillation
from osakd.models.branches import channels_at, head, shared_stage, stages_of

BuildNetwork = Callable[[str | None], nn.Module]
"""Builds a further network by name, or one more of the deployed network's kind."""


def build_method(
    name: str,
    settings: Mapping[str, Any],
    network: nn.Module,
    *,
    num_classes: int,
    num_samples: int,
    input_shape: tuple[int, int, int],
    build_network: BuildNetwork,
    teachers: Sequence[nn.Module] = (),
) -> Method:
    """The method ``name`` around a network.

    Args:
        name: a name of ``METHODS``.
        settings: every setting, as ``resolve_method`` gives them.
        network: the network to train and deploy.
        num_classes: number of classes.
        num_samples: size of the training set, which is the size of a memory.
        input_shape: channels, height and width of an image.
        build_network: builds the further networks that a method trains.
        teachers: the networks of the stages before this one, the latest first, for the methods that have stages.

    Raises:
        InputError: a setting out of its range, or a network without the stages that branches need.
    """
    options = dict(settings)
    if "k" in options:
        if options.pop("pool", "batch") == "memory":
            options["memory"] = OutputMemory(num_samples, num_classes)
        momentum = options.pop("momentum", 0.0)
        if momentum:
            options["average"] = LabelAverage(num_samples, num_classes, momentum=momentum)
        if name == "weighted-neighbours":
            options["weights"] = "distance"
        control = {"uniform-smoothing": "uniform", "shuffled-neighbours": "shuffled"}.get(name)
        return SelfDistillation(network, OSAKDLoss(num_classes, **options), control=control)  # type: ignore[arg-type] - names of Control
    if name in ("plain", "label-smoothing"):
        return SelfDistillation(network, **options)
    if name in ("kd", "born-again", "srdl"):
        return _distillation(name, options, network, teachers)
    if name == "dml":
        return MutualLearning(network, [build_network(peer) for peer in options.pop("peers")], **options)
    if name == "codistillation":
        return Codistillation(network, [build_network(None) for _ in range(options.pop("copies") - 1)], **options)
    if name == "one":
        share = shared_stage(network, options.pop("share"))
        heads = [head(build_network(None), share) for _ in range(options.pop("branches") - 1)]
        channels = channels_at(network, share, input_shape)
        return NativeEnsemble(network, heads, share=share, channels=channels, **options)
    return _fusion(options, network, num_classes, input_shape, build_network)


def _distillation(name: str, options: dict[str, Any], network: nn.Module, teachers: Sequence[nn.Module]) -> Method:
    for setting in ("teacher", "generations", "first_epochs"):
        options.pop(setting, None)
    if name == "born-again":
        # The source's T is 1, and its soft term a cross-entropy.
        options |= {"hard_weight": 1.0, "temperature": 1.0, "form": "cross_entropy", "ensemble": True}
        options["earlier"] = teachers[1:]
    elif name == "srdl":
        options["hard_weight"] = 1.0
    return Distillation(network, teachers[0], **options)


def _fusion(
    options: dict[str, Any],
    network: nn.Module,
    num_classes: int,
    input_shape: tuple[int, int, int],
    build_network: BuildNetwork,
) -> Method:
    share, peer = options.pop("share"), build_network(options.pop("peer"))
    last = [channels_at(one, stages_of(one)[-1], input_shape) for one in (network, peer)]
    fusion = Fusion((last[0], last[1]), num_classes)
    if not options.pop("shared"):
        return FeatureFusion(network, peer, fusion, share=None, **options)
    share = shared_stage(network, share)
    return FeatureFusion(network, head(peer, share), fusion, share=share, **options)
