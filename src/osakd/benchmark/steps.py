"""The time of a training step of several methods, side by side in one run."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from osakd.benchmark.contenders import made_images, single
from osakd.benchmark.run import Timed, interleaved


def step_times(
    methods: Mapping[str, Any], model: str, batch_size: int, *, rounds: int, steps: int, device: torch.device
) -> dict[str, list[float]]:
    """The seconds of a step of each method in each of the rounds, in which they take turns, on made images.

    Args:
        methods: by label: names, or names and settings.
        model: name of the network.
        batch_size: images per step.
        rounds: how many.
        steps: of each method in a round; as many come before the first, to warm up.
        device: to run on.
    """
    split = made_images(device)
    group = {
        label: Timed(partial(single, method, split, model=model, batch=batch_size), steps)
        for label, method in methods.items()
    }
    return interleaved(group, rounds, warm_up=steps)
