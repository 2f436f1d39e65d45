"""Settings of methods that learn from a network trained before: KD, Born-Again Networks, SRDL."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from osakd.errors import InputError
from osakd.methods.settings.base import RunDefaults, Settings, Stage, setting
from osakd.methods.teacher_runs import is_recorded, recorded_teacher


@dataclass(frozen=True)
class KDSettings(Settings):
    """Offline distillation from a teacher that is trained before. Source: Hinton et al., 2015."""

    teacher: str | None = setting(
        None,
        "network name or folder of a finished run; default: resnet110 for CIFAR ResNets, or resnet20",
    )
    hard_weight: float = setting(0.1, "weight of the cross-entropy with the classes", least=0)
    soft_weight: float = setting(
        0.9, "weight of the divergence from the teacher, times the squared temperature", least=0
    )
    temperature: float = setting(4.0, "temperature of the soft term", above=0)

    def resolve(self, run: RunDefaults) -> "KDSettings":
        """A larger network teaches where none is named; a finished run is recorded by the digest of its network."""
        if self.teacher is not None:
            return replace(self, teacher=recorded_teacher(self.teacher))
        if run.model.startswith("resnet50"):
            raise InputError(f"There is no larger network here to teach {run.model!r}: name a `teacher`.")
        return replace(self, teacher="resnet110" if re.fullmatch(r"resnet\d+(-conv)?", run.model) else "resnet20")

    def previous_stage(self) -> Stage | None:
        """The teacher's plain training, unless a finished run teaches."""
        return None if self.given_teacher() else Stage(model=self.teacher)

    def given_teacher(self) -> str | None:
        """The digest of the network of a finished run."""
        return self.teacher if self.teacher is not None and is_recorded(self.teacher) else None


@dataclass(frozen=True)
class BornAgainSettings(Settings):
    """Generations of one network, each taught by the one before. Source: Furlanello et al., ICML 2018."""

    hard_weight: ClassVar[float] = 1.0
    temperature: ClassVar[float] = 1.0
    generations: int = setting(1, "generations trained after the first network", least=1)
    soft_weight: float = setting(1.0, "weight of the cross-entropy with the previous generation", least=0)

    def previous_stage(self) -> Stage:
        """The generation before; the first network is trained plainly."""
        if self.generations == 1:
            return Stage()
        return Stage("born-again", replace(self, generations=self.generations - 1))


@dataclass(frozen=True)
class SRDLSettings(Settings):
    """Self-referenced: the first half of the epochs trains the teacher of the second. Source: Lan et al., ACCV 2018."""

    hard_weight: ClassVar[float] = 1.0
    soft_weight: float = setting(
        1.0, "weight of the divergence from the first stage's network, times the squared temperature", least=0
    )
    temperature: float = setting(3.0, "temperature of the soft term", above=0)
    first_epochs: int | None = setting(None, "epochs of the first stage; default: half of all, rounded down", least=1)

    def resolve(self, run: RunDefaults) -> "SRDLSettings":
        """The first stage takes half of the epochs where nothing else is given."""
        if run.epochs is None:
            return self
        first = run.epochs // 2 if self.first_epochs is None else self.first_epochs
        if not 1 <= first < run.epochs:
            raise InputError(
                f"srdl needs at least one epoch in each of its two stages, got {first} of {run.epochs} first."
            )
        return replace(self, first_epochs=first)

    def last_stage_epochs(self, epochs: int) -> int:
        """What the first stage leaves."""
        return epochs - (self.first_epochs or 0)

    def previous_stage(self) -> Stage:
        """Plain training with its own share of the epochs."""
        return Stage(epochs=self.first_epochs)
