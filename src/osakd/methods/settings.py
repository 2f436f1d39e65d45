"""The methods by name: their settings, with defaults and ranges. Nothing here imports torch."""

from dataclasses import dataclass, field, fields
from math import inf
from typing import ClassVar, Literal

from osakd.errors import InputError

Number = int | float


@dataclass(frozen=True)
class Settings:
    """The settings of a method. ``single_network`` says that it trains one network and nothing else."""

    single_network: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for setting in fields(self):
            if "range" in setting.metadata:
                _check_range(setting.name, getattr(self, setting.name), *setting.metadata["range"])


@dataclass(frozen=True)
class PlainSettings(Settings):
    """Plain training: cross-entropy alone. Source: the paper's row "w/o OSAKD"."""

    single_network: ClassVar[bool] = True


@dataclass(frozen=True)
class LabelSmoothingSettings(Settings):
    """Cross-entropy with smoothed labels. Source: Szegedy et al., CVPR 2016.

    Args:
        smoothing: probability mass spread evenly over all classes, from 0 to below 1.
    """

    single_network: ClassVar[bool] = True
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise InputError(f"`smoothing` must be at least 0 and below 1, got {self.smoothing}.")


@dataclass(frozen=True)
class ShuffledSettings(Settings):
    """Control: OSAKD with the neighbours' classes permuted. Source: osakd.

    Args:
        k: number of neighbours, the sample itself among them; at most the batch size.
        soft_weight: weight (lambda) of the distillation term; by default the dataset's, 0.9 or 0.99.
        space: what is compared: softmax outputs or logits.
        divergence: Kullback-Leibler, squared error averaged over classes, or summed over them.
        balance: CE + w D, (1 - w) CE + w D, or w CE + (1 - w) D.
        include_self: the sample itself is one of its neighbours.
    """

    single_network: ClassVar[bool] = True
    k: int = 8
    soft_weight: float | None = None
    space: Literal["softmax", "logits"] = "softmax"
    divergence: Literal["kl", "mse", "mse_sum"] = "kl"
    balance: Literal["additive", "convex", "convex_reversed"] = "additive"
    include_self: bool = True

    def __post_init__(self) -> None:
        weight, balance = self.soft_weight, self.balance
        if weight is not None and (weight < 0 or (balance != "additive" and weight > 1)):
            most = "" if balance == "additive" else f" and at most 1 with balance {balance!r}"
            raise InputError(f"`soft_weight` must be at least 0{most}, got {weight}.")


@dataclass(frozen=True)
class OSAKDSettings(ShuffledSettings):
    """Online self-acquired distillation from the k nearest neighbours. Source: Tzelepi and Tefas, ICME 2021.

    Args:
        k: number of neighbours, the sample itself among them; at most the batch size.
        soft_weight: weight (lambda) of the distillation term; by default the dataset's, 0.9 or 0.99.
        space: what is compared: softmax outputs or logits.
        divergence: Kullback-Leibler, squared error averaged over classes, or summed over them.
        balance: CE + w D, (1 - w) CE + w D, or w CE + (1 - w) D.
        include_self: the sample itself is one of its neighbours.
        pool: where neighbours are looked for: the mini-batch, or a memory of the whole training set.
    """

    pool: Literal["batch", "memory"] = "batch"


@dataclass(frozen=True)
class AveragedSettings(OSAKDSettings):
    """OSAKD with labels averaged over the epochs, and a prior. Source: osakd, after Laine and Aila, ICLR 2017.

    Args:
        k: number of neighbours, below the batch size.
        soft_weight: weight (lambda) of the distillation term; by default the dataset's, 0.9 or 0.99.
        space: what is compared: softmax outputs or logits.
        divergence: Kullback-Leibler, squared error averaged over classes, or summed over them.
        balance: CE + w D, (1 - w) CE + w D, or w CE + (1 - w) D.
        include_self: the sample itself is one of its neighbours.
        pool: where neighbours are looked for: the mini-batch, or a memory of the whole training set.
        pseudo_count: neighbours that every class is given beforehand.
        momentum: weight of the labels of the epochs before; 0 for none.
    """

    include_self: bool = False
    pseudo_count: float = 0.1
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range("pseudo_count", self.pseudo_count, 0, inf)
        if not 0 <= self.momentum < 1:
            raise InputError(f"`momentum` must be at least 0 and below 1, got {self.momentum}.")


@dataclass(frozen=True)
class WeightedSettings(AveragedSettings):
    """OSAKD whose nearest neighbours count most. Source: osakd, after Dudani, 1976.

    Args:
        k: number of neighbours, below the batch size; the farthest sets the scale and does not count.
        soft_weight: weight (lambda) of the distillation term; by default the dataset's, 0.9 or 0.99.
        space: what is compared: softmax outputs or logits.
        divergence: Kullback-Leibler, squared error averaged over classes, or summed over them.
        balance: CE + w D, (1 - w) CE + w D, or w CE + (1 - w) D.
        include_self: the sample itself is one of its neighbours.
        pool: where neighbours are looked for: the mini-batch, or a memory of the whole training set.
        pseudo_count: neighbours that every class is given beforehand.
        momentum: weight of the labels of the epochs before; 0 for none.
    """

    momentum: float = 0.0


@dataclass(frozen=True)
class UniformSettings(OSAKDSettings):
    """Control: smoothing with the true-class mass of OSAKD's labels at that step. Source: osakd.

    Args:
        k: number of neighbours, the sample itself among them; at most the batch size.
        soft_weight: weight (lambda) of the distillation term; by default the dataset's, 0.9 or 0.99.
        space: what is compared: softmax outputs or logits.
        divergence: Kullback-Leibler, squared error averaged over classes, or summed over them.
        balance: CE + w D, (1 - w) CE + w D, or w CE + (1 - w) D.
        include_self: the sample itself is one of its neighbours.
        pool: where neighbours are looked for: the mini-batch, or a memory of the whole training set.
    """


@dataclass(frozen=True)
class KDSettings(Settings):
    """Offline distillation from a teacher that is trained before. Source: Hinton et al., 2015.

    Args:
        teacher: name of its network, or folder of a finished run; by default resnet110 for CIFAR ResNets, or resnet20.
        hard_weight: of the cross-entropy with the classes.
        soft_weight: of the divergence from the teacher, times the squared temperature.
        temperature: of the soft term.
    """

    teacher: str | None = None
    hard_weight: float = field(default=0.1, metadata={"range": (0, inf)})
    soft_weight: float = field(default=0.9, metadata={"range": (0, inf)})
    temperature: float = field(default=4.0, metadata={"range": (0, inf, "open")})


@dataclass(frozen=True)
class BornAgainSettings(Settings):
    """Generations of one network, each taught by the one before. Source: Furlanello et al., ICML 2018.

    Args:
        generations: how many are trained after the first network.
        soft_weight: of the cross-entropy with the generation before.
    """

    generations: int = field(default=1, metadata={"range": (1, inf)})
    soft_weight: float = field(default=1.0, metadata={"range": (0, inf)})


@dataclass(frozen=True)
class SRDLSettings(Settings):
    """Self-referenced: the first half of the epochs trains the teacher of the second. Source: Lan et al., ACCV 2018.

    Args:
        soft_weight: of the divergence from the first stage's network, times the squared temperature.
        temperature: of the soft term.
        first_epochs: of the first stage; by default half of the epochs, rounded down.
    """

    soft_weight: float = field(default=1.0, metadata={"range": (0, inf)})
    temperature: float = field(default=3.0, metadata={"range": (0, inf, "open")})
    first_epochs: int | None = field(default=None, metadata={"range": (1, inf)})


@dataclass(frozen=True)
class DMLSettings(Settings):
    """Deep mutual learning: peers that teach each other. Source: Zhang et al., CVPR 2018.

    Args:
        peers: names of the other networks; by default one more of the same.
        soft_weight: of the mean divergence from the other peers.
    """

    peers: list[str] = field(default_factory=list)
    soft_weight: float = field(default=1.0, metadata={"range": (0, inf)})


@dataclass(frozen=True)
class CodistillationSettings(Settings):
    """Copies that learn from older weights of each other. Source: Anil et al., ICLR 2018.

    Args:
        copies: how many networks.
        burn_in: share of the schedule without the soft term.
        refresh: steps from one exchange of weights to the next.
        soft_weight: of the cross-entropy with the others' mean prediction.
    """

    copies: int = field(default=2, metadata={"range": (2, inf)})
    burn_in: float = field(default=0.2, metadata={"range": (0, 1)})
    refresh: int = field(default=50, metadata={"range": (1, inf)})
    soft_weight: float = field(default=1.0, metadata={"range": (0, inf)})


@dataclass(frozen=True)
class ONESettings(Settings):
    """Branches on a shared trunk that learn from their gated ensemble. Source: Lan et al., NeurIPS 2018.

    Args:
        branches: how many, the deployed one included; 3 in the source, 2 in the OSAKD paper.
        share: last stage of the trunk; by default the last but one of the network.
        temperature: of the soft term.
        ramp_end: share of the schedule at which the soft term has its full weight.
    """

    branches: int = field(default=2, metadata={"range": (2, inf)})
    share: str | None = None
    temperature: float = field(default=3.0, metadata={"range": (0, inf, "open")})
    ramp_end: float = field(default=80 / 300, metadata={"range": (0, inf, "open")})


@dataclass(frozen=True)
class FFLSettings(Settings):
    """Two sub-networks and a classifier on their fused features. Source: Kim et al., ICPR 2020.

    Args:
        shared: the sub-networks share a trunk; else they are two whole networks.
        share: last stage of the trunk; by default the last but one of the network.
        peer: name of the second whole network; by default the same as the first.
        temperature: of the soft terms.
        ramp_end: share of the schedule at which the soft terms have their full weight.
        fusion_weight_decay: of the fusion module.
    """

    shared: bool = True
    share: str | None = None
    peer: str | None = None
    temperature: float = field(default=3.0, metadata={"range": (0, inf, "open")})
    ramp_end: float = field(default=80 / 300, metadata={"range": (0, inf, "open")})
    fusion_weight_decay: float = field(default=1e-5, metadata={"range": (0, inf)})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared and self.peer is not None:
            raise InputError("`peer` is the second whole network of ffl: it needs `shared` false.")
        if not self.shared and self.share is not None:
            raise InputError("`share` names the last shared stage of ffl: it needs `shared` true.")


METHODS: dict[str, type[Settings]] = {
    "plain": PlainSettings,
    "osakd": OSAKDSettings,
    "averaged-neighbours": AveragedSettings,
    "weighted-neighbours": WeightedSettings,
    "label-smoothing": LabelSmoothingSettings,
    "uniform-smoothing": UniformSettings,
    "shuffled-neighbours": ShuffledSettings,
    "kd": KDSettings,
    "born-again": BornAgainSettings,
    "srdl": SRDLSettings,
    "dml": DMLSettings,
    "codistillation": CodistillationSettings,
    "one": ONESettings,
    "ffl": FFLSettings,
}


def _check_range(name: str, value: Number | None, least: Number, most: Number, kind: str = "closed") -> None:
    if value is None or ((least < value if kind == "open" else least <= value) and value <= most):
        return
    words = f"above {least}" if kind == "open" else f"at least {least}"
    raise InputError(f"`{name}` must be {words}{f' and at most {most}' if most != inf else ''}, got {value}.")
