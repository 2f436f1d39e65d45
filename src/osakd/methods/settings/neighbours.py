"""Settings of OSAKD and its controls: soft labels from the k nearest neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar

from osakd.errors import InputError
from osakd.labels.ceiling import ceiling_note, usual_pseudo_count
from osakd.methods.settings.base import RunDefaults, Settings, setting

NeighbourT = TypeVar("NeighbourT", bound="NeighbourSettings")


@dataclass(frozen=True)
class NeighbourSettings(Settings):
    """What every method with neighbours has: how they are searched, and how their labels enter the loss."""

    single_network: ClassVar[bool] = True
    in_label: ClassVar[tuple[str, ...]] = ("k",)
    in_older_runs: ClassVar[Mapping[str, Any]] = {
        "reliability": False,
        "reliability_power": 1.0,
        "reliability_scoring": "fixed",
        "pseudo_count": 0.0,
        "label_smoothing": 0.0,
    }
    k: int = setting(8, "number of nearest neighbours; at most the batch size")
    soft_weight: float | None = setting(
        None, "weight (lambda) of the distillation term; default: 0.9, or 0.99 for Tiny ImageNet", least=0
    )
    space: Literal["softmax", "logits"] = setting("softmax", "outputs that are compared: softmax or logits")
    divergence: Literal["kl", "mse", "mse_sum"] = setting(
        "kl", "Kullback-Leibler divergence, or squared error averaged over classes (mse) or summed over them (mse_sum)"
    )
    balance: Literal["additive", "convex", "convex_reversed"] = setting(
        "additive", "CE + w D (additive), (1 - w) CE + w D (convex), or w CE + (1 - w) D (convex_reversed)"
    )
    include_self: bool = setting(True, "count the sample itself among its k neighbours")

    reliability: bool = setting(True, "weight the distillation term by how much the neighbours know so far, 0 to 1")
    reliability_power: float = setting(2.0, "exponent of that weight", above=0)
    reliability_scoring: Literal["best", "fixed"] = setting(
        "best", "how votes are scored for it: with the best of six pseudo-counts, or with min(0.1, 1/classes) (fixed)"
    )
    pseudo_count: float | None = setting(
        None,
        "pseudo-count added to every class (Dirichlet alpha); default: 2.5 over the number of classes, less for fewer "
        "than ten, 0 for two",
        least=0,
    )
    label_smoothing: float = setting(0.0, "label smoothing of the cross-entropy", least=0, below=1)

    def __post_init__(self) -> None:
        if self.soft_weight is not None and self.balance != "additive" and self.soft_weight > 1:
            raise InputError(f"`soft_weight` must be at most 1 with balance {self.balance!r}, got {self.soft_weight}.")

    def label(self, name: str) -> str:
        """The number of neighbours is part of the label where it is not the default, and always of the paper's."""
        return name if self.k == NeighbourSettings.k and name != "osakd-paper" else f"{name}-{self.k}nn"

    def resolve(self: NeighbourT, run: RunDefaults) -> NeighbourT:
        """The weight is the data set's by default."""
        return self if self.soft_weight is not None else replace(self, soft_weight=run.soft_weight)

    def check_batch(self, batch_size: int) -> None:
        """The batch must hold k neighbours."""
        largest, kind = (batch_size, "samples") if self.include_self else (batch_size - 1, "other samples")
        if not 1 <= self.k <= largest:
            raise InputError(
                f"`k` must be between 1 and {largest} ({largest} {kind} in the batch), got {self.k}: take another k or "
                "a larger batch."
            )

    def notes(self, batch_size: int, class_counts: Sequence[int]) -> list[str]:
        """The ceiling of soft labels from the mini-batch."""
        pseudo_count = usual_pseudo_count(len(class_counts)) if self.pseudo_count is None else self.pseudo_count
        options = {"include_self": self.include_self, "pseudo_count": pseudo_count}
        return [ceiling_note(batch_size, class_counts, self.k, **options)]


@dataclass(frozen=True)
class PoolSettings(NeighbourSettings):
    """Neighbours from the mini-batch, from a queue or from a memory."""

    pool: Literal["batch", "queue", "memory"] = setting(
        "batch",
        "where neighbours are searched: the mini-batch, a queue of the latest outputs, or a memory of the training set",
    )
    queue_size: int = setting(2048, "samples that a queue holds; at least the batch size", least=1)

    def check_batch(self, batch_size: int) -> None:
        """The batch must hold k neighbours, or a queue both."""
        if self.pool != "queue":
            super().check_batch(batch_size)
        elif self.queue_size < max(batch_size, self.k + (not self.include_self)):
            raise InputError(
                f"`queue_size` must be at least the batch size ({batch_size}) and k ({self.k}), got {self.queue_size}."
            )

    def searches_memory(self) -> bool:
        """A memory of the whole training set is searched at each step."""
        return self.pool == "memory"

    def soft_label_caption(self, batch_size: int, num_samples: int) -> str:
        """The number of neighbours, where they are searched, and among which outputs."""
        itself = ", the image itself among them," if self.include_self else ""
        pool = {
            "batch": f"in mini-batches of {batch_size}, those of the last epoch",
            "queue": f"among the latest {min(self.queue_size, num_samples):,} images, in the order of the last epoch",
            "memory": f"among all {num_samples:,} training images",
        }[self.pool]
        space = "softmax outputs" if self.space == "softmax" else "logits"
        return (
            f"k = {self.k} neighbours{itself} {pool}, among the {space} of the finished network, without augmentation"
        )

    def notes(self, batch_size: int, class_counts: Sequence[int]) -> list[str]:
        """A memory or queue has no such ceiling; a queue should not hold an image twice."""
        images = sum(class_counts)
        if self.pool == "queue" and 2 * self.queue_size > images:
            return [
                f"Warning: a queue of {self.queue_size:,} for {images:,} training images holds earlier outputs of the "
                f"images themselves, which count as their neighbours: take a `queue_size` of {images // 4:,} at most."
            ]
        return super().notes(batch_size, class_counts) if self.pool == "batch" else []


@dataclass(frozen=True)
class OSAKDSettings(PoolSettings):
    """Online self-acquired distillation from the k nearest neighbours. Source: Tzelepi and Tefas, ICME 2021."""

    has_soft_labels: ClassVar[bool] = True


@dataclass(frozen=True)
class UniformSettings(PoolSettings):
    """Control: smoothing with the true-class mass of OSAKD's labels at that step. Source: osakd."""

    takes_mixed_images: ClassVar[bool] = False


@dataclass(frozen=True)
class ShuffledSettings(NeighbourSettings):
    """Control: OSAKD with the neighbours' classes permuted. Source: osakd."""

    takes_mixed_images: ClassVar[bool] = False
