"""The time of training steps on synthetic images, measured side by side in one process."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from osakd.data.streams import permutation
from osakd.engine.build import method_of
from osakd.engine.config import Options, configure
from osakd.engine.cost import shaped
from osakd.engine.evaluate import DeviceSplit
from osakd.engine.executors.base import Executor, Replicas
from osakd.engine.executors.registry import REFERENCE, build_executor
from osakd.engine.stages import previous_stage
from osakd.methods.base import Method
from osakd.models.build import build_model
from osakd.records import RunConfig

RunSteps = Callable[[int], float]
"""Runs a number of steps, and returns their seconds."""
IMAGES, SHAPE, CLASSES = 50_000, (3, 32, 32), 10
"""Number and shape of CIFAR-10's training images."""
EPOCHS = 1000
"""Length of the schedule that the timed steps are at the beginning of."""


class Timed(NamedTuple):
    """What is timed: how it is built, and the number of its steps in a round."""

    build: Callable[[], RunSteps]
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

    As many steps as those of a round warm up; ``ema`` has the decay of averaged weights by label.
    """
    split, decays = synthetic_images(device), ema or {}

    def steps_of(label: str) -> RunSteps:
        options = {"model": model, "batch_size": batch_size, "ema": decays.get(label)}
        return training_steps(REFERENCE, [methods[label]], split, **options)

    group = {label: Timed(partial(steps_of, label), steps) for label in methods}
    return interleaved(group, rounds, warm_up=steps)


def interleaved(group: Mapping[str, Timed], rounds: int, *, warm_up: int) -> dict[str, list[float]]:
    """The seconds per step by name, in rounds in which they take turns, after ``warm_up`` steps at most a round's."""
    built = {name: (timed.build(), timed.steps) for name, timed in group.items()}
    for run, steps in built.values():
        run(min(warm_up, steps))
    seconds: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(rounds):
        for name, (run, steps) in built.items():
            seconds[name].append(run(steps) / steps)
    return seconds


def synthetic_images(device: torch.device, shape: tuple[int, int, int] = SHAPE) -> DeviceSplit:
    """Images of CIFAR-10's number: a weak pattern of each class under a strong pattern of each image.

    ``shape`` has channels, height and width of an image, the last two multiples of 4; by default it is CIFAR-10's.
    """
    channels, height, width = shape
    generator = np.random.default_rng(0)
    target = generator.integers(0, CLASSES, IMAGES)
    coarse = (height // 4, width // 4, channels)
    patterns = generator.normal(0, 12, (CLASSES, *coarse))[target] + generator.normal(0, 30, (IMAGES, *coarse))
    images = np.clip(128 + patterns, 0, 255).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    return DeviceSplit(torch.from_numpy(images).to(device), torch.from_numpy(target).to(device))


def training_steps(
    executor: str,
    methods: list[Any],
    split: DeviceSplit,
    *,
    model: str = "lenet",
    batch_size: int = 64,
    seeds: int = 1,
    ema: float | None = None,
    captured: bool | None = None,
) -> RunSteps:
    """The training steps of methods over seeds together, by SGD with momentum 0.9 at a constant learning rate.

    Raises:
        UnsupportedError: the executor cannot run these networks.
    """
    numbers, options = (
        range(seeds),
        Options(deploy="last", model=model, batch_size=batch_size, epochs=EPOCHS, momentum=0.9, ema=ema),
    )
    images, (_, height, width, channels) = len(split.target), split.images.shape
    data = shaped(num_classes=CLASSES, input_shape=(channels, height, width), train=images)
    configs = [configure(data, method, seed, options) for seed in numbers for method in methods]
    keys = [str(method) for _ in numbers for method in methods]
    built = [_method(config, split.images.device) for config in configs]
    replicas = Replicas(built, [{"train": split}] * seeds, configs[0], keys)
    return _steps_of(build_executor(executor, replicas, captured=captured), split)


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """The seconds of a call, until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def _steps_of(executor: Executor, split: DeviceSplit) -> RunSteps:
    numbers = range(executor.replicas)
    orders = [permutation(len(split.target), seed=number, stage=0, stream="order", epoch=1) for number in numbers]

    def run(steps: int) -> float:
        long_orders = [np.resize(order, steps * executor.config.batch_size) for order in orders]
        epoch = partial(executor.run_epoch, long_orders, rate=0.001, first_step=0, on_step=lambda _: None)
        return seconds_of(epoch, split.target.device)

    return run


def _method(config: RunConfig, device: torch.device) -> Method:
    """The method of a run, without input scaling and with untrained teachers."""
    torch.manual_seed(config.seed)
    channels, height, width = config.data["input_shape"]

    def build_network(name: str | None) -> nn.Module:
        return build_model(name or config.model, num_classes=CLASSES, input_shape=(channels, height, width))

    stage = previous_stage(config)
    return method_of(config, build_network, [build_network(stage.model)] if stage else [], device)
