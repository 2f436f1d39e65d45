"""The soft labels of a finished run's training images, and the most ambiguous of them."""

from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from osakd.data.arrays import DataArrays
from osakd.data.streams import permutation
from osakd.engine.build import build, on_device
from osakd.engine.evaluate import DeviceSplit, to_floats
from osakd.engine.state import load_student
from osakd.errors import InputError
from osakd.labels.samples import at_least_float32
from osakd.losses.osakd import SPACES, OSAKDLoss
from osakd.methods.registry import settings_of
from osakd.records import RunConfig

_PART = 500


class Ambiguous(NamedTuple):
    """A training image by its row, its soft label, and the entropy of that in nats."""

    row: int
    soft_label: list[float]
    entropy: float


def most_ambiguous(
    config: RunConfig, data: DataArrays, folder: Path, device: torch.device, *, count: int, trust: bool = False
) -> list[Ambiguous]:
    """The training images whose soft labels have the highest entropy in their class: one of each class, then another.

    Of equal entropies the lower probability of the image's class comes first, then chance decides, by the run's seed.

    Raises:
        InputError: the run's method has no soft labels of neighbours.
    """
    if not settings_of(config).has_soft_labels:
        raise InputError(f"A run of {config.method!r} has no soft labels of neighbours to show.")
    method = build(config, data, device, folder)
    criterion = next(module for module in method.modules() if isinstance(module, OSAKDLoss))
    method.network.load_state_dict(load_student(folder, trust=trust).state_dict())
    method.eval()
    labels = final_soft_labels(method.network, criterion, on_device(data, device)["train"], config).double().cpu()
    # Rounded: what is equal but for the order of a sum counts as equal.
    entropies = (-torch.xlogy(labels, labels).sum(1)).round(decimals=9).tolist()
    masses = labels.gather(1, torch.from_numpy(data.train.target)[:, None])[:, 0].tolist()
    chance = torch.randperm(len(masses), generator=torch.Generator().manual_seed(config.seed)).tolist()
    order = sorted(range(len(masses)), key=lambda row: (-entropies[row], masses[row], chance[row]))
    of_class: dict[int, list[int]] = {}
    for row in order:
        of_class.setdefault(int(data.train.target[row]), []).append(row)
    order = [row for rows in zip_longest(*of_class.values()) for row in rows if row is not None]
    return [Ambiguous(row, labels[row].tolist(), entropies[row]) for row in order[:count]]


@torch.no_grad()
def final_soft_labels(
    network: torch.nn.Module, criterion: OSAKDLoss, train: DeviceSplit, config: RunConfig
) -> Float[Tensor, "m c"]:
    """The soft labels of the training images ``[m, c]`` from the trained network, without augmentation.

    Mini-batches are those of the last epoch; a memory holds the outputs of all training images, a queue the latest of
    that epoch.
    """
    logits = torch.cat([network(to_floats(part)) for part in train.images.split(_PART)])
    points = SPACES[criterion.space](at_least_float32(logits))
    criterion.train()
    if criterion.memory is not None:
        index = torch.arange(len(logits), device=logits.device)
        criterion.memory.write(index, points, train.target)
    order = permutation(len(logits), seed=config.seed, stage=config.stage, stream="order", epoch=config.epochs)
    if criterion.queue is not None:
        latest = torch.from_numpy(order[-criterion.queue.size :]).to(logits.device)
        criterion.queue.write(points[latest], train.target[latest])
    labels = torch.nn.functional.one_hot(train.target, logits.shape[1]).to(torch.float64)
    for rows in torch.from_numpy(order).to(logits.device).split(config.batch_size):
        # A last batch of one image is dropped in training: that image keeps its hard label.
        if len(rows) > 1:
            with torch.enable_grad():  # a queue takes each batch up, as in training
                labels[rows] = criterion.posterior(logits[rows], train.target[rows], rows).soft_labels.double()
    return labels
