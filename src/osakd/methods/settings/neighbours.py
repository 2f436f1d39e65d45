"""Settings of OSAKD, of its controls, and of our own candidates: soft labels from the k nearest neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar

from osakd.errors import InputError
from osakd.labels.ceiling import ceiling_note, usual_pseudo_count
from osakd.methods.settings.base import RunDefaults, Settings, setting

NeighbourT = TypeVar("NeighbourT", bound="NeighbourSettings")


@dataclass(frozen=True)
class CountSettings(Settings):
    """The number of neighbours, those of the mini-batch without the sample itself."""

    single_network: ClassVar[bool] = True
    in_label: ClassVar[tuple[str, ...]] = ("k",)
    k: int = setting(8, "number of nearest neighbours; at most the batch size")

    def label(self, name: str) -> str:
        """The number of neighbours is part of the label where it is not the default."""
        return name if self.k == CountSettings.k else f"{name}-{self.k}nn"

    def counts_itself(self) -> bool:
        """Whether a sample is among its own neighbours."""
        return False

    def check_batch(self, batch_size: int) -> None:
        """The batch must hold k neighbours."""
        largest = batch_size if self.counts_itself() else batch_size - 1
        if not 1 <= self.k <= largest:
            raise InputError(
                f"`k` must be between 1 and {largest} ({largest} {'' if self.counts_itself() else 'other '}samples in "
                f"the batch), got {self.k}: take another k or a larger batch."
            )


@dataclass(frozen=True)
class NeighbourSettings(CountSettings):
    """What every method with neighbours has: how they are searched, and how their labels enter the loss."""

    soft_weight: float | None = setting(
        None, "weight (lambda) of the distillation term; default: 0.9, or 0.99 for Tiny ImageNet"
    )
    space: Literal["softmax", "logits"] = setting("softmax", "outputs that are compared: softmax or logits")
    divergence: Literal["kl", "mse", "mse_sum"] = setting(
        "kl", "Kullback-Leibler divergence, or squared error averaged over classes (mse) or summed over them (mse_sum)"
    )
    balance: Literal["additive", "convex", "convex_reversed"] = setting(
        "additive", "CE + w D (additive), (1 - w) CE + w D (convex), or w CE + (1 - w) D (convex_reversed)"
    )
    include_self: bool = setting(True, "count the sample itself among its k neighbours")

    def __post_init__(self) -> None:
        super().__post_init__()
        weight, balance = self.soft_weight, self.balance
        if weight is not None and (weight < 0 or (balance != "additive" and weight > 1)):
            most = "" if balance == "additive" else f" and at most 1 with balance {balance!r}"
            raise InputError(f"`soft_weight` must be at least 0{most}, got {weight}.")

    def resolve(self: NeighbourT, run: RunDefaults) -> NeighbourT:
        """The weight is the data set's where none is given."""
        return self if self.soft_weight is not None else replace(self, soft_weight=run.soft_weight)

    def counts_itself(self) -> bool:
        """The setting says so."""
        return self.include_self

    def notes(self, batch_size: int, class_counts: Sequence[int]) -> list[str]:
        """The ceiling of soft labels from the mini-batch."""
        own = {"include_self": self.include_self, "pseudo_count": self.added_to_every_class(len(class_counts))}
        return [ceiling_note(batch_size, class_counts, self.k, **own)]

    def added_to_every_class(self, num_classes: int) -> float:  # noqa: ARG002 - a hook
        """The pseudo-count of the soft labels."""
        return 0.0


@dataclass(frozen=True)
class PoolSettings(NeighbourSettings):
    """Neighbours from the mini-batch or from a memory."""

    pool: Literal["batch", "memory"] = setting(
        "batch", "where neighbours are searched: the mini-batch, or a memory of the whole training set"
    )

    def searches_memory(self) -> bool:
        """The pool says so."""
        return self.pool == "memory"

    def soft_label_caption(self, batch_size: int, num_samples: int) -> str:
        """The number of neighbours, where they are searched, and among which outputs."""
        own = ", the image itself among them," if self.include_self else ""
        pool = f"in mini-batches of {batch_size}, those of the last epoch"
        pool = f"among all {num_samples:,} training images" if self.pool == "memory" else pool
        space = "softmax outputs" if self.space == "softmax" else "logits"
        return f"k = {self.k} neighbours{own} {pool}, among the {space} of the finished network, without augmentation"

    def notes(self, batch_size: int, class_counts: Sequence[int]) -> list[str]:
        """A memory has no such ceiling."""
        return super().notes(batch_size, class_counts) if self.pool == "batch" else []


@dataclass(frozen=True)
class ReliabilitySettings(NeighbourSettings):
    """A distillation term whose weight grows with what the neighbours know."""

    in_older_runs: ClassVar[Mapping[str, Any]] = {
        "reliability": False,
        "reliability_power": 1.0,
        "pseudo_count": 0.0,
        "label_smoothing": 0.0,
    }
    reliability: bool = setting(True, "weight the distillation term by how much the neighbours know by now, 0 to 1")
    reliability_power: float = setting(2.0, "exponent of that weight", above=0)
    pseudo_count: float | None = setting(
        None, "pseudo-count added to every class (Dirichlet alpha); default: 2.5 over the number of classes", least=0
    )
    label_smoothing: float = setting(0.0, "label smoothing of the cross-entropy", least=0, below=1)

    def added_to_every_class(self, num_classes: int) -> float:
        """The setting says so, or the number of classes."""
        return usual_pseudo_count(num_classes) if self.pseudo_count is None else self.pseudo_count


@dataclass(frozen=True)
class OSAKDSettings(ReliabilitySettings, PoolSettings):
    """Online self-acquired distillation from the k nearest neighbours. Source: Tzelepi and Tefas, ICME 2021."""

    has_soft_labels: ClassVar[bool] = True

    def label(self, name: str) -> str:
        """The number of neighbours is always part of the label, but for a preset's."""
        return f"{name}-{self.k}nn" if name == "osakd" else super().label(name)


@dataclass(frozen=True)
class UniformSettings(ReliabilitySettings, PoolSettings):
    """Control: smoothing with the true-class mass of OSAKD's labels at that step. Source: osakd."""


@dataclass(frozen=True)
class ShuffledSettings(ReliabilitySettings):
    """Control: OSAKD with the neighbours' classes permuted. Source: osakd."""


@dataclass(frozen=True)
class AveragedSettings(PoolSettings):
    """OSAKD with labels averaged over the epochs, and a prior. Source: osakd, after Laine and Aila, ICLR 2017."""

    has_soft_labels: ClassVar[bool] = True
    include_self: bool = setting(False, "count the sample itself among its k neighbours")
    pseudo_count: float = setting(0.1, "pseudo-count added to every class (Dirichlet alpha)", least=0)
    momentum: float = setting(0.9, "weight of the labels of earlier epochs; 0 for none", least=0, below=1)

    def added_to_every_class(self, num_classes: int) -> float:  # noqa: ARG002 - a hook
        """The setting says so."""
        return self.pseudo_count


@dataclass(frozen=True)
class WeightedSettings(AveragedSettings):
    """OSAKD whose nearest neighbours count most. Source: osakd, after Dudani, 1976."""

    momentum: float = setting(0.0, "weight of the labels of earlier epochs; 0 for none", least=0, below=1)

    def notes(self, batch_size: int, class_counts: Sequence[int]) -> list[str]:  # noqa: ARG002 - a hook
        """No ceiling is known for weighted neighbours."""
        return []


@dataclass(frozen=True)
class BayesSettings(CountSettings):
    """OSAKD whose votes are gathered as evidence, weighted by their reliability. Source: osakd."""

    has_soft_labels: ClassVar[bool] = True
    prior: float = setting(10.0, "evidence that a sample starts with for its own class", above=0)
    forgetting: float = setting(0.95, "weight of the earlier evidence at each visit of the sample", above=0, most=1)
    smoothing: float = setting(0.0, "share of that evidence that is spread over all classes", least=0, below=1)
    keep_prior: bool = setting(False, "forget votes only, not the evidence for the own class")
    votes: Literal["neighbours", "mixed", "gap", "shuffled", "uniform", "prediction"] = setting(
        "neighbours",
        "what is gathered: the neighbours' classes, also averaged with the network's own prediction (mixed) or "
        "weighted by how far the network is ahead of them (gap); or as a control another sample's neighbours' classes "
        "(shuffled), equal shares of all classes (uniform), or the network's own prediction (prediction)",
    )

    def soft_label_caption(self, batch_size: int, num_samples: int) -> str:  # noqa: ARG002 - a hook
        """The number of neighbours and where they are searched; what a visit gathers, not the evidence."""
        return (
            f"k = {self.k} neighbours in mini-batches of {batch_size}, those of the last epoch, among the softmax "
            "outputs of the finished network, without augmentation, before they are gathered as evidence"
        )
