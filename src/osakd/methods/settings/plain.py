"""Settings of training with the classes alone: plain, and with label smoothing."""

from dataclasses import dataclass
from typing import ClassVar

from osakd.methods.settings.base import Settings, setting


@dataclass(frozen=True)
class PlainSettings(Settings):
    """Plain training: cross-entropy alone. Source: the paper's row "w/o OSAKD"."""

    single_network: ClassVar[bool] = True


@dataclass(frozen=True)
class LabelSmoothingSettings(Settings):
    """Cross-entropy with smoothed labels. Source: Szegedy et al., CVPR 2016."""

    single_network: ClassVar[bool] = True
    smoothing: float = setting(0.1, "probability mass spread evenly over all classes", least=0, below=1)
