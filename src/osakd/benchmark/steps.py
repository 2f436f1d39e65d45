"""The time of a training step of several methods, side by side in one run."""

from collections.abc import Sequence
from functools import partial
from statistics import median

import torch

from osakd.benchmark.contenders import made_images, single
from osakd.benchmark.run import Timed, interleaved

ROUNDS, STEPS = 5, 2


def step_times(methods: Sequence[str], model: str, batch_size: int) -> dict[str, float]:
    """The median milliseconds of a step of each method, in rounds that take turns, on made images.

    Args:
        methods: names.
        model: name of the network.
        batch_size: images per step.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    split = made_images(device)
    group = {name: Timed(partial(single, name, split, model=model, batch=batch_size), STEPS) for name in methods}
    seconds = interleaved(group, ROUNDS, warm_up=STEPS)
    return {name: 1000 * median(found) for name, found in seconds.items()}
