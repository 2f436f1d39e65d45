"""The time of training steps on synthetic images, measured side by side in one process."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from osakd.data.streams import permutation
from osakd.engine.evaluate import DeviceSplit
from osakd.engine.executors.base import Executor, Replicas, TrainingSpec
from osakd.engine.executors.registry import REFERENCE, build_executor
from osakd.engine.optim import Groups
from osakd.methods.base import BuildContext, Method
from osakd.methods.lookup import resolve_method
from osakd.methods.registry import build_method
from osakd.methods.settings.base import RunDefaults
from osakd.models.build import build_model

Contender = Callable[[int], float]
"""Runs a number of steps, and returns their seconds."""
IMAGES, SHAPE, CLASSES = 50_000, (3, 32, 32), 10
"""Number and shape of CIFAR-10's training images."""


class Timed(NamedTuple):
    """What is timed.

    Attributes:
        build: builds the contender.
        steps: number of its steps in a round.
    """

    build: Callable[[], Contender]
    steps: int


def step_times(
    methods: Mapping[str, Any],
    model: str,
    batch_size: int,
    *,
    rounds: int,
    steps: int,
    device: torch.device,
    ema: Mapping[str, float] | None = None,
) -> dict[str, list[float]]:
    """The seconds of a training step of each method in each round, in which the methods take turns.

    Args:
        methods: names, or mappings with name and settings, by label.
        model: name of the network.
        batch_size: number of images per step.
        rounds: number of rounds.
        steps: number of steps of each method in a round; as many warm up before the first round.
        device: device to train on.
        ema: by label, the decay of methods whose weights are averaged along training.
    """
    split, decays = synthetic_images(device), ema or {}

    def contender(method: Any, decay: float | None) -> Contender:
        spec = replace(training_spec(batch_size), ema=decay)
        return training_steps(REFERENCE, [method], split, spec, model=model)

    group = {label: Timed(partial(contender, method, decays.get(label)), steps) for label, method in methods.items()}
    return interleaved(group, rounds, warm_up=steps)


def interleaved(group: Mapping[str, Timed], rounds: int, *, warm_up: int) -> dict[str, list[float]]:
    """The seconds per step of each contender in each round, in which they take turns.

    Args:
        group: the contenders by name.
        rounds: number of rounds.
        warm_up: number of steps before the first round, at most those of a round.
    """
    built = {name: (timed.build(), timed.steps) for name, timed in group.items()}
    for contender, steps in built.values():
        contender(min(warm_up, steps))
    seconds: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(rounds):
        for name, (contender, steps) in built.items():
            seconds[name].append(contender(steps) / steps)
    return seconds


def synthetic_images(device: torch.device, shape: tuple[int, int, int] = SHAPE) -> DeviceSplit:
    """Images of CIFAR-10's number: a weak pattern of each class under a strong pattern of each image.

    Args:
        device: where the images are.
        shape: channels, height and width of an image, multiples of 4; by default CIFAR-10's.
    """
    channels, height, width = shape
    generator = np.random.default_rng(0)
    target = generator.integers(0, CLASSES, IMAGES)
    small = (height // 4, width // 4, channels)
    patterns = generator.normal(0, 12, (CLASSES, *small))[target] + generator.normal(0, 30, (IMAGES, *small))
    images = np.clip(128 + patterns, 0, 255).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    return DeviceSplit(torch.from_numpy(images).to(device), torch.from_numpy(target).to(device))


def training_spec(batch_size: int, *, cuda_graph: bool = False) -> TrainingSpec:
    """Plain SGD with momentum at a constant learning rate."""

    def sgd(groups: Groups) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, 0.001, momentum=0.9, fused=True)

    return TrainingSpec(optimizer=sgd, batch_size=batch_size, total_steps=10**6, cuda_graph=cuda_graph)


def training_steps(
    executor: str, methods: list[Any], split: DeviceSplit, spec: TrainingSpec, *, model: str = "lenet", seeds: int = 1
) -> Contender:
    """The training steps of methods over seeds in one program.

    Args:
        executor: a name of ``EXECUTORS``.
        methods: names, or mappings with name and settings.
        split: the training images.
        spec: how to train.
        model: name of the network.
        seeds: number of seeds.
    """
    built = [_method(method, model, split, seed) for seed in range(seeds) for method in methods]
    replicas = Replicas(built, [{"train": split}] * seeds, [str(method) for _ in range(seeds) for method in methods])
    return _steps_of(build_executor(executor, replicas, spec), split)


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """The seconds of a call, until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def _steps_of(executor: Executor, split: DeviceSplit) -> Contender:
    numbers = range(executor.replicas)
    orders = [permutation(len(split.target), seed=number, stage=0, stream="order", epoch=1) for number in numbers]

    def run(steps: int) -> float:
        given = [np.resize(order, steps * executor.spec.batch_size) for order in orders]
        epoch = partial(executor.run_epoch, given, rate=0.001, first_step=0, on_step=lambda _: None)
        return seconds_of(epoch, split.target.device)

    return run


def _method(method: Any, model: str, split: DeviceSplit, seed: int) -> Method:
    torch.manual_seed(seed)
    height, width, channels = split.images.shape[1:]
    shape = (channels, height, width)

    def build_network(other: str | None) -> nn.Module:
        return build_model(other or model, num_classes=CLASSES, input_shape=shape)

    name, settings = resolve_method(method, RunDefaults(model=model))
    stage = settings.previous_stage()
    context = BuildContext(
        network=build_network(None),
        num_classes=CLASSES,
        num_samples=len(split.target),
        input_shape=shape,
        build_network=build_network,
        teachers=[build_network(stage.model)] if stage else [],
    )
    built = build_method(name, settings, context)
    return built.to(split.target.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload] - missing in the stubs
