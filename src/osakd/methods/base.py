"""What a training method is: an ``nn.Module`` that maps a batch to its loss."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn


class Batch(NamedTuple):
    """A mini-batch and the clock.

    Attributes:
        images: float images in [0, 1].
        classes: class of each image.
        index: number of each image in the training set.
        step: steps taken before this one, a 0-dim integer tensor.
        progress: share of the schedule done, a 0-dim float tensor from 0 to 1.
    """

    images: Float[Tensor, "n channels h w"]
    classes: Int[Tensor, " n"]
    index: Int[Tensor, " n"]  # pyright: ignore[reportIncompatibleMethodOverride] - nobody searches a batch
    step: Int[Tensor, ""]
    progress: Float[Tensor, ""]


class LossTerms(NamedTuple):
    """What a method makes of a batch.

    Attributes:
        total: the loss to minimise, a scalar.
        parts: scalars by name, for the record: the terms of the loss, unweighted and weighted, and diagnostics.
        logits: the deployed network's outputs.
    """

    total: Float[Tensor, ""]
    parts: dict[str, Tensor]
    logits: Float[Tensor, "n c"]


class Method(nn.Module, ABC):
    """Every method's interface. It holds its networks as children; executors know nothing else of it."""

    @abstractmethod
    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch, by name; the same parts at every step."""

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """The children that are networks, by attribute; ``forward`` calls each once, on the images of the batch."""

    @abstractmethod
    def predictors(self) -> dict[str, nn.Module]:
        """The networks that are evaluated and reported, by name; the first is the one that is deployed."""
