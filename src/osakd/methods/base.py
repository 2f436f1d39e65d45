"""What a training method is: an ``nn.Module`` that maps a batch to its loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from osakd.methods.settings.base import Settings

MethodT = TypeVar("MethodT", bound="Method")


@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """What a method is built from, besides its settings.

    Attributes:
        network: the network to train and deploy.
        num_classes: number of classes.
        num_samples: size of the training set, which is the size of a memory.
        input_shape: channels, height and width of an image.
        build_network: builds a further network by name, or one more like ``network`` for None.
        teachers: the networks of earlier stages, the latest first.
        class_weights: weight of each class in the cross-entropy ``[c]``; None for equal ones.
    """

    network: nn.Module
    num_classes: int
    num_samples: int
    input_shape: tuple[int, int, int]
    build_network: Callable[[str | None], nn.Module]
    teachers: Sequence[nn.Module] = ()
    class_weights: Tensor | None = None

    @classmethod
    def of(
        cls,
        build_network: Callable[[str | None], nn.Module],
        *,
        num_classes: int,
        num_samples: int,
        input_shape: tuple[int, int, int],
        teachers: Sequence[nn.Module] = (),
        class_weights: Tensor | None = None,
    ) -> "BuildContext":
        """A context whose network is built here: ``build_network(None)``, before the method builds any other."""
        return cls(
            network=build_network(None),
            num_classes=num_classes,
            num_samples=num_samples,
            input_shape=input_shape,
            build_network=build_network,
            teachers=teachers,
            class_weights=class_weights,
        )


class Batch(NamedTuple):
    """A mini-batch, and how far training is.

    Attributes:
        images: float images in [0, 1].
        target: class index of each image; class probabilities of mixed ones.
        index: index of each image in the training set.
        step: number of steps taken before this one, a 0-dim integer tensor.
        progress: share of the schedule that is done, a 0-dim float tensor from 0 to 1.
    """

    images: Float[Tensor, "n channels h w"]
    target: Int[Tensor, " n"] | Float[Tensor, "n c"]
    index: Int[Tensor, " n"]  # pyright: ignore[reportIncompatibleMethodOverride] - not a sequence to search
    step: Int[Tensor, ""]
    progress: Float[Tensor, ""]


class LossTerms(NamedTuple):
    """The loss of a batch and its parts.

    Attributes:
        total: the loss to minimise, a scalar.
        parts: scalars to record, by name: the terms of the loss, unweighted and weighted, and diagnostics.
        logits: the deployed network's outputs.
    """

    total: Float[Tensor, ""]
    parts: dict[str, Tensor]
    logits: Float[Tensor, "n c"]


def joint_loss(
    students: Sequence[tuple[str, Tensor, Tensor]], weight: Tensor | float, logits: Tensor, **more: Tensor
) -> LossTerms:
    """The sum of the losses of networks that are trained together, ``hard + weight * soft`` each, and of further terms.

    ``students`` has the suffix of the names of a network's parts, its hard and its soft term, unweighted.
    """
    parts = dict(more)
    totals = list(more.values())
    for suffix, hard, soft in students:
        totals.append(hard + weight * soft)
        parts |= {f"hard{suffix}": hard, f"soft{suffix}": soft, f"weighted_soft{suffix}": weight * soft}
    total = torch.stack(totals).sum()
    parts = {"total": total, **parts}
    return LossTerms(total, {name: value.detach() for name, value in parts.items()}, logits)


def weighted_terms(
    hard: Tensor, soft: Tensor, hard_weight: Tensor | float, soft_weight: Tensor | float, logits: Tensor
) -> LossTerms:
    """The loss of one network, ``hard_weight * hard + soft_weight * soft``, with its parts by name."""
    weighted_hard, weighted_soft = hard_weight * hard, soft_weight * soft
    total = weighted_hard + weighted_soft
    named = {"total": total, "hard": hard, "soft": soft}
    named |= {"weighted_hard": weighted_hard, "weighted_soft": weighted_soft}
    return LossTerms(total, {name: value.detach() for name, value in named.items()}, logits)


def suffix(number: int) -> str:
    """The suffix of a network's parts: empty for the first network, then ``_2``, ``_3``."""
    return f"_{number + 1}" if number else ""


class Method(nn.Module, ABC):
    """The interface of every method. A method holds all its networks as children.

    Attributes:
        network: the network that is deployed.
        settings: its settings, of the class that the registry names.
        frozen: names of children that are never trained, stay in eval mode, and are in no optimizer or checkpoint.
    """

    network: nn.Module
    settings: Any
    class_weights: Tensor | None
    frozen: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Settings, context: BuildContext) -> None:
        super().__init__()
        self.settings, self.network = settings, context.network
        self.register_buffer("class_weights", context.class_weights, persistent=False)  # the configuration has them

    def train(self: MethodT, mode: bool = True) -> MethodT:
        """Sets training or eval mode; frozen children stay in eval mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def own_state(self) -> dict[str, Tensor]:
        """The state that training changes: everything except frozen children."""
        return {name: value for name, value in self.state_dict().items() if not self._is_frozen(name)}

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """Loads a state of ``own_state``; a RuntimeError for a tensor missing, unexpected or of another shape."""
        frozen = {name: value for name, value in self.state_dict().items() if self._is_frozen(name)}
        self.load_state_dict({**state, **frozen})

    def _is_frozen(self, name: str) -> bool:
        return name.startswith(tuple(f"{child}." for child in self.frozen))

    @abstractmethod
    def forward(self, batch: Batch) -> LossTerms:
        """The loss of a batch; its parts have the same names at every step, ``total`` among them."""

    def cross_entropy(self, logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Float[Tensor, ""]:
        """The cross-entropy with class indices ``[n]`` or class probabilities ``[n, c]``, with the run's weights."""
        return F.cross_entropy(logits, target, weight=self.class_weights, label_smoothing=label_smoothing)

    def predict(self, images: Float[Tensor, "n channels h w"]) -> dict[str, Tensor]:
        """The logits ``[n, c]`` of everything that is evaluated, by name; the deployed network comes first."""
        return {"student": self.network(images)}

    def weight_decays(self) -> dict[str, float]:
        """Weight decay of children that do not use the configured one, by name."""
        return {}
