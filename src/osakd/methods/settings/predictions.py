"""Settings of the methods that train one network on its own predictions, or on other labels of its classes."""

from dataclasses import dataclass
from typing import ClassVar

from osakd.methods.settings.base import Settings, setting


@dataclass(frozen=True)
class TfKDSettings(Settings):
    """Teacher-free distillation from a virtual teacher, which is always right. Source: Yuan et al., CVPR 2020."""

    single_network: ClassVar[bool] = True
    correct: float = setting(0.99, "probability that the virtual teacher gives to the true class", above=0, below=1)
    soft_weight: float = setting(0.1, "weight of the divergence from it; the classes have the rest", least=0, most=1)
    temperature: float = setting(20.0, "temperature of the virtual teacher", above=0)


@dataclass(frozen=True)
class ZipfSettings(Settings):
    """Labels that follow Zipf's law in the order of the network's own outputs. Source: Liang et al., ECCV 2022."""

    takes_mixed_images: ClassVar[bool] = False
    single_network: ClassVar[bool] = True
    soft_weight: float = setting(0.1, "weight of the divergence over the classes that are not true", least=0)
    power: float = setting(1.0, "exponent of Zipf's law", least=0)


@dataclass(frozen=True)
class OnlineLabelSmoothingSettings(Settings):
    """Labels of a class are the mean right prediction of the epoch before. Source: Zhang et al., IEEE TIP 2021."""

    takes_mixed_images: ClassVar[bool] = False
    single_network: ClassVar[bool] = True
    hard_weight: float = setting(0.5, "weight of the classes; the soft labels have the rest", least=0, most=1)


@dataclass(frozen=True)
class PSKDSettings(Settings):
    """Targets between the class and the last epoch's prediction, more and more. Source: Kim et al., ICCV 2021."""

    takes_mixed_images: ClassVar[bool] = False
    single_network: ClassVar[bool] = True
    follows_schedule: ClassVar[bool] = True
    soft_weight: float = setting(0.8, "weight of the earlier prediction at the end of training", least=0, most=1)


@dataclass(frozen=True)
class BayesianSelfDistillationSettings(Settings):
    """Targets that gather the network's predictions as Dirichlet evidence. Source: Adelöw et al., 2025."""

    takes_mixed_images: ClassVar[bool] = False
    single_network: ClassVar[bool] = True
    prior: float = setting(20.0, "evidence that a sample starts with for its own class", above=0)
    forgetting: float = setting(0.95, "weight of the earlier evidence at each visit of the sample", above=0, most=1)


@dataclass(frozen=True)
class DLBSettings(Settings):
    """Consistency with the sample's outputs at its last visit. Source: Shen et al., CVPR 2022, adapted."""

    takes_mixed_images: ClassVar[bool] = False
    single_network: ClassVar[bool] = True
    soft_weight: float = setting(1.0, "weight of the divergence, times the squared temperature", least=0)
    temperature: float = setting(3.0, "temperature of the soft term", above=0)


@dataclass(frozen=True)
class CSKDSettings(Settings):
    """Consistency with another sample of the same class. Source: Yun et al., CVPR 2020."""

    takes_mixed_images: ClassVar[bool] = False
    single_network: ClassVar[bool] = True
    soft_weight: float = setting(1.0, "weight of the divergence, times the squared temperature", least=0)
    temperature: float = setting(4.0, "temperature of the soft term", above=0)


@dataclass(frozen=True)
class BAKESettings(Settings):
    """Predictions of similar samples in the batch, propagated to each other. Source: Ge et al., 2021."""

    soft_weight: float = setting(1.0, "weight of the divergence, times the squared temperature", least=0)
    temperature: float = setting(4.0, "temperature of the soft term", above=0)
    propagation: float = setting(0.5, "share of the others' predictions at each propagation (omega)", least=0, below=1)
