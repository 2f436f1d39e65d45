"""What a training method is: an ``nn.Module`` that maps a batch to its loss."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Itself = TypeVar("Itself", bound="Method")


class Batch(NamedTuple):
    """A mini-batch and the clock.

    Attributes:
        images: float images in [0, 1].
        target: class of each image.
        index: number of each image in the training set.
        step: steps taken before this one, a 0-dim integer tensor.
        progress: share of the schedule done, a 0-dim float tensor from 0 to 1.
    """

    images: Float[Tensor, "n channels h w"]
    target: Int[Tensor, " n"]
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


def joint_loss(
    students: Sequence[tuple[str, Tensor, Tensor]], weight: Tensor | float, logits: Tensor, **more: Tensor
) -> LossTerms:
    """The sum of the losses of several networks that learn together, each ``hard + weight * soft``.

    Args:
        students: of each network what its parts' names end in, its hard and its soft term, unweighted.
        weight: of the soft terms.
        logits: the deployed network's outputs.
        more: further terms of the sum, by name.
    """
    parts = dict(more)
    totals = list(more.values())
    for suffix, hard, soft in students:
        totals.append(hard + weight * soft)
        parts |= {f"hard{suffix}": hard, f"soft{suffix}": soft, f"weighted_soft{suffix}": weight * soft}
    total = torch.stack(totals).sum()
    parts = {"total": total, **parts}
    return LossTerms(total, {name: value.detach() for name, value in parts.items()}, logits)


def suffix(number: int) -> str:
    """What the names of a network's parts end in: nothing for the first, then ``_2``, ``_3``."""
    return f"_{number + 1}" if number else ""


class Method(nn.Module, ABC):
    """Every method's interface. It holds its networks as children; executors know nothing else of it.

    Attributes:
        network: the one that is deployed.
        frozen: children that never train, never leave eval mode, and are in no optimizer and no checkpoint.
    """

    network: nn.Module
    frozen: ClassVar[tuple[str, ...]] = ()

    def train(self: Itself, mode: bool = True) -> Itself:
        """Training mode, or eval mode; what is frozen stays in eval mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def own_state(self) -> dict[str, Tensor]:
        """The state that training changes: all but what is frozen."""
        return {name: value for name, value in self.state_dict().items() if not self._is_frozen(name)}

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes a state as ``own_state`` gives it.

        Raises:
            RuntimeError: a tensor is missing, left over, or of another shape.
        """
        kept = {name: value for name, value in self.state_dict().items() if self._is_frozen(name)}
        self.load_state_dict({**state, **kept})

    def _is_frozen(self, name: str) -> bool:
        return name.startswith(tuple(f"{child}." for child in self.frozen))

    @abstractmethod
    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch, by name; the same parts at every step, ``total`` among them."""

    def predict(self, images: Float[Tensor, "n channels h w"]) -> dict[str, Tensor]:
        """The logits ``[n, c]`` of everything that is evaluated and reported, by name; the deployed network's first."""
        return {"student": self.network(images)}

    def weight_decays(self) -> dict[str, float]:
        """The children whose weight decay is their own, whatever the configuration says."""
        return {}
