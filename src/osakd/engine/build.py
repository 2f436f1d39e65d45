"""From plans to what an executor trains: the methods on their device, and the images beside them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from osakd.data.arrays import DataArrays
from osakd.data.streams import torch_seed
from osakd.engine.evaluate import DeviceSplit
from osakd.engine.executors.base import Replicas, Splits
from osakd.engine.stages import teachers
from osakd.methods.base import BuildContext, Method
from osakd.methods.registry import build_method, settings_of
from osakd.models.build import build_model
from osakd.models.normalise import Normalise
from osakd.models.weights import load_weights
from osakd.records import RunConfig

if TYPE_CHECKING:
    from osakd.engine.plan import Plan


def build_replicas(plans: "Sequence[Plan]", device: torch.device) -> Replicas:
    """The methods of runs that differ only in seed and method, side by side for each seed, and their images."""
    by_seed, notes = {plan.config.seed: plan.data for plan in plans}, list[str]()

    def built(plan: "Plan") -> Method:
        def start(network: nn.Module) -> None:
            if plan.weights is not None:
                notes.append(load_weights(network, plan.weights, plan.data.class_names))

        return build(plan.config, by_seed[plan.config.seed], device, plan.folder, start)

    return Replicas(
        methods=[built(plan) for plan in plans],
        splits=[on_device(data, device) for data in by_seed.values()],
        config=plans[0].config,
        keys=[json.dumps([plan.config.method, plan.config.settings], sort_keys=True) for plan in plans],
        notes=list(dict.fromkeys(notes)),
    )


def build(
    config: RunConfig,
    data: DataArrays,
    device: torch.device,
    folder: Path,
    start: Callable[[nn.Module], None] | None = None,
) -> Method:
    """The method of a run on a device; ``start`` sets the deployed network's weights, equal for a seed's methods."""
    torch.manual_seed(torch_seed(seed=config.seed, stage=config.stage, stream="init", epoch=0))

    def build_network(name: str | None) -> nn.Module:
        return build_model(
            name or config.model,
            num_classes=data.num_classes,
            input_shape=data.input_shape,
            normalise=build_normalise(config.scaling, data),
            pretrained=config.pretrained and start is not None,
        )

    return method_of(config, build_network, teachers(config, folder, data.class_names), device, start)


def method_of(
    config: RunConfig,
    build_network: Callable[[str | None], nn.Module],
    teachers: Sequence[nn.Module],
    device: torch.device,
    start: Callable[[nn.Module], None] | None = None,
) -> Method:
    """The method that a configuration names, with the networks of earlier stages, the latest first."""
    channels, height, width = config.data["input_shape"]
    context = BuildContext.of(
        build_network,
        num_classes=len(config.data["class_counts"]),
        num_samples=config.data["train"],
        input_shape=(channels, height, width),
        teachers=teachers,
        class_weights=balanced_weights(config.data["class_counts"]) if config.class_weights else None,
    )
    if start is not None:
        start(context.network)
    method = build_method(config.method, settings_of(config), context)
    return method.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload] - missing in the stubs


def balanced_weights(counts: Sequence[int]) -> Tensor:
    """Weights inversely proportional to the number of images of each class, as scikit-learn's ``balanced`` ones.

    Example:
        >>> balanced_weights([30, 10])
        tensor([0.6667, 2.0000])
    """
    return sum(counts) / (len(counts) * torch.tensor(counts, dtype=torch.get_default_dtype()))


def on_device(data: DataArrays, device: torch.device) -> Splits:
    """The splits of the data on a device, by name."""
    splits = {"train": data.train, "test": data.test} | ({"validation": data.validation} if data.validation else {})
    return {
        name: DeviceSplit(torch.from_numpy(split.images).to(device), torch.from_numpy(split.target).to(device))
        for name, split in splits.items()
    }


def build_normalise(scaling: str, data: DataArrays) -> Normalise:
    """The first layer of a network, which scales images from [0, 1]."""
    channels = data.input_shape[0]
    fixed = {"half": ([0.5] * channels, [0.5] * channels), "unit": ([0.0] * channels, [1.0] * channels)}
    return Normalise(*(data.statistics() if scaling == "statistics" else fixed[scaling]))
