"""Training a multi-layer perceptron on feature vectors, in memory, by any method that needs no images.

The executors train on stored images of 0 to 255, and a run has a folder. Vectors are floats, and an estimator keeps
no folder: this loop has the methods, batches and random streams of a run, and neither its records nor its executors.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from osakd.data.streams import permutation, torch_seed
from osakd.engine.executors.steps import split_order
from osakd.errors import InputError, RunError
from osakd.methods.base import Batch, BuildContext, Method
from osakd.methods.registry import METHODS, build_method
from osakd.methods.settings.base import Settings
from osakd.methods.settings.neighbours import NeighbourSettings

PERCEPTRON = "perceptron"
"""The name of the one network here."""


@dataclass(frozen=True, kw_only=True)
class VectorSpec:
    """How a perceptron is trained.

    Attributes:
        features: number of features of a vector.
        hidden: number of units of each hidden layer.
        num_classes: number of classes.
        batch_size: vectors per step, at least 2; a last batch of one vector is left out.
        learning_rate: learning rate of Adam.
        alpha: strength of the L2 penalty on the weights, divided by the batch size as scikit-learn does.
        seed: seed of the first weights and of the order of the vectors.
    """

    features: int
    hidden: tuple[int, ...]
    num_classes: int
    batch_size: int
    learning_rate: float
    alpha: float
    seed: int


@dataclass
class VectorTraining:
    """A method in training on vectors.

    Attributes:
        method: the method; its ``network`` is the perceptron.
        optimizer: the optimizer of its parameters.
        spec: how it is trained.
        stage: key of its stage in the random streams.
        losses: mean loss of each epoch.
        steps: number of steps taken.
    """

    method: Method
    optimizer: torch.optim.Optimizer
    spec: VectorSpec
    stage: int
    losses: list[float] = field(default_factory=list)
    steps: int = 0

    def epoch(self, vectors: Float[Tensor, "n features"], target: Int[Tensor, " n"], *, of: int = 1) -> None:
        """Makes one pass over the vectors, ``of`` so many. It seeds torch's random numbers.

        Raises:
            RunError: a loss that is not finite.
        """
        key: dict[str, Any] = {"seed": self.spec.seed, "stage": self.stage, "epoch": len(self.losses) + 1}
        torch.manual_seed(torch_seed(stream="noise", **key))
        order = torch.from_numpy(permutation(len(target), stream="order", **key))
        batches = split_order(order, self.spec.batch_size)
        images = vectors[..., None, None]
        self.method.train()
        total = torch.zeros((), dtype=vectors.dtype)
        for index in batches:
            step = torch.tensor(self.steps)
            loss = self.method(Batch(images[index], target[index], index, step, step / (of * len(batches)))).total
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.steps += 1
            total += loss.detach() * len(index)
        self.losses.append(float(total) / sum(len(index) for index in batches))
        if not isfinite(self.losses[-1]):
            raise RunError(
                f"The loss of epoch {len(self.losses)} is not finite: take a smaller learning rate, or scale the "
                "features to mean 0 and variance 1."
            )


def train_on_vectors(
    name: str,
    settings: Settings,
    spec: VectorSpec,
    vectors: Float[Tensor, "n features"],
    target: Int[Tensor, " n"],
    *,
    epochs: int,
    stage: int = 0,
) -> list[VectorTraining]:
    """Trains a method and the stages before it. It seeds torch's random numbers.

    Args:
        name: a name of ``METHODS``.
        settings: its complete settings.
        spec: how to train it.
        vectors: the vectors, float32 or float64.
        target: class index of each vector.
        epochs: number of epochs of this stage.
        stage: key of the stage in the random streams; 0 for the last one.

    Returns:
        The stages, the last one first.

    Raises:
        InputError: a method that cannot train a perceptron: it needs images, or another network.
        RunError: a loss that is not finite.
    """
    earlier = settings.previous_stage()
    if settings.given_teacher() or (earlier is not None and earlier.model):
        raise InputError(
            f"Method {name!r} needs a teacher with another network, but for vectors all networks are alike: take "
            "born-again or srdl, which teach themselves."
        )
    before: list[VectorTraining] = []
    if earlier is not None:
        own = earlier.settings or METHODS[earlier.method].settings()
        more = {"epochs": earlier.epochs or epochs, "stage": stage + 1}
        before = train_on_vectors(earlier.method, own, spec, vectors, target, **more)
    teachers = [one.method.network for one in before]
    training = begin(name, settings, spec, vectors, stage=stage, teachers=teachers)
    for _ in range(epochs):
        training.epoch(vectors, target, of=epochs)
    return [training, *before]


def begin(
    name: str,
    settings: Settings,
    spec: VectorSpec,
    vectors: Float[Tensor, "n features"],
    *,
    stage: int = 0,
    teachers: Sequence[nn.Module] = (),
) -> VectorTraining:
    """A method before its first step; the perceptron starts equal for every method. It seeds torch's random numbers.

    No more neighbours are searched than the first batch holds.
    """
    batch = min(spec.batch_size, len(vectors))
    if isinstance(settings, NeighbourSettings):
        settings = replace(settings, k=min(settings.k, batch if settings.include_self else batch - 1))
    settings.check_batch(batch)
    torch.manual_seed(torch_seed(seed=spec.seed, stage=stage, stream="init", epoch=0))
    context = BuildContext(
        network=_perceptron(None, spec),
        num_classes=spec.num_classes,
        num_samples=len(vectors),
        input_shape=(spec.features, 1, 1),  # to a method a vector is an image of one pixel
        build_network=lambda name: _perceptron(name, spec),
        teachers=teachers,
    )
    method = build_method(name, settings, context).to(vectors.dtype)
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in trained if one.ndim > 1], "weight_decay": spec.alpha / batch},
        {"params": [one for one in trained if one.ndim <= 1]},
    ]
    return VectorTraining(method, torch.optim.Adam(groups, spec.learning_rate), spec, stage)


def check_continues(name: str, settings: Settings, spec: VectorSpec, vectors: Float[Tensor, "n features"]) -> None:
    """Checks that a method may be trained on, epoch by epoch, with other vectors than before.

    Raises:
        InputError: it keeps something of each sample, follows a schedule, or trains several networks.
    """
    continues = settings.single_network and not settings.follows_schedule
    if continues:
        # What a method keeps of each sample grows with their number.
        one, other = (begin(name, settings, spec, part).method.state_dict() for part in (vectors, vectors.repeat(2, 1)))
        continues = all(value.shape == other[key].shape for key, value in one.items())
    if not continues:
        raise InputError(
            f"Method {name!r} keeps something of each sample, follows a schedule, or trains several networks: call "
            "fit for it, or take osakd with neighbours from the batch, or plain."
        )


def _perceptron(name: str | None, spec: VectorSpec) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    if name not in (None, PERCEPTRON):
        raise InputError(f"For vectors all networks are alike: leave the network {name!r} out of the settings.")
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    width = spec.features
    for number, units in enumerate(spec.hidden, start=1):
        layers[f"hidden{number}"] = nn.Sequential(nn.Linear(width, units), nn.ReLU())
        width = units
    return nn.Sequential(OrderedDict(layers, fc=nn.Linear(width, spec.num_classes)))
