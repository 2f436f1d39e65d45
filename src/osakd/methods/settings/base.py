"""What the settings of all methods share: described and checked fields, and the questions that a method answers.

The rest of osakd knows no method by name. What it must know of one before it is built, it asks the method's settings;
each question is a hook below, with the answer of a method that trains one network in one stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from os import PathLike
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, get_args, get_origin

from osakd.checks import choice, flag, number, whole
from osakd.errors import InputError

Number = int | float
SettingsT = TypeVar("SettingsT", bound="Settings")


def setting(
    default: Any,
    help: str,  # noqa: A002 - argparse's word
    *,
    least: Number | None = None,
    above: Number | None = None,
    most: Number | None = None,
    below: Number | None = None,
) -> Any:
    """A field of a settings class: its default, a phrase for ``--help`` without a full stop, and its bounds.

    None as default depends on the run, see ``Settings.resolve``. ``above`` and ``below`` exclude the bound itself.
    """
    bounds = {"least": least, "above": above, "most": most, "below": below}
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    metadata: dict[str, Any] = {"help": help, "bounds": bounds}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def parsed(setting: "Field[Any]", value: Any) -> Any:
    """The value of a setting in the plain type of its field; an InputError for another type or out of its bounds."""
    name, bounds = setting.name, setting.metadata["bounds"]
    if get_origin(setting.type) is Literal:
        return choice(name, value, get_args(setting.type))
    if get_origin(setting.type) is list:
        if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
            return list(value)
        raise InputError(f"`{name}` must be a list of names, got {value!r}.")
    kinds = get_args(setting.type) or (setting.type,)
    if value is None and type(None) in kinds:  # left open
        return None
    if bool in kinds:
        return flag(name, value)
    if int in kinds:
        return whole(name, value, **bounds)
    if float in kinds:
        return number(name, value, **bounds)
    if isinstance(value, str | PathLike):
        return str(value)
    raise InputError(f"`{name}` must be a name, got {value!r}.")


class RunDefaults(NamedTuple):
    """What a run offers for the settings that its method leaves open.

    Attributes:
        epochs: passes over the training set, of all stages together; None where it is not known yet.
        soft_weight: the data set's weight of a distillation term.
    """

    model: str = ""
    epochs: int | None = None
    soft_weight: float = 0.9


class Stage(NamedTuple):
    """A run that must finish before another one can start, in what differs from that one; None for the same."""

    method: str = "plain"
    settings: "Settings | None" = None
    model: str | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class Settings:
    """The settings of a method; values from outside come in by ``parse``.

    Attributes:
        single_network: the method trains one network and nothing else, so replicas can be folded into channels, and a
            run may be given more epochs.
        follows_schedule: the loss depends on the share of the schedule that is done, so a run keeps its epochs.
        has_soft_labels: each sample has a soft label from its neighbours, which a report can show.
        takes_mixed_images: the loss takes class probabilities, and remembers nothing of single images.
        in_label: settings that ``label`` shows.
        in_older_runs: values in runs that were recorded before a setting was there, where they are not the defaults.
    """

    single_network: ClassVar[bool] = False
    follows_schedule: ClassVar[bool] = False
    has_soft_labels: ClassVar[bool] = False
    takes_mixed_images: ClassVar[bool] = True
    in_label: ClassVar[tuple[str, ...]] = ()
    in_older_runs: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def parse(cls: type[SettingsT], values: Mapping[str, Any]) -> SettingsT:
        """The settings with these values in their fields' plain types; an InputError for another type or bounds."""
        known = {setting.name: setting for setting in fields(cls)}
        return cls(**{name: parsed(known[name], value) for name, value in values.items()})

    def label(self, name: str) -> str:
        """The beginning of a short label for tables and folders; settings that differ from the defaults follow."""
        return name

    def resolve(self: SettingsT, run: RunDefaults) -> SettingsT:  # noqa: ARG002 - a hook
        """The same settings with every open one filled in; an InputError for one that does not fit the run."""
        return self

    def last_stage_epochs(self, epochs: int) -> int:
        """The epochs of the last stage, of those of all stages together."""
        return epochs

    def check_batch(self, batch_size: int) -> None:
        """Checks that batches of this size are large enough; else an InputError."""

    def previous_stage(self) -> Stage | None:
        """The run that must finish before this one can start; None for a method of one stage."""
        return None

    def given_teacher(self) -> str | None:
        """The finished run that teaches instead of a stage, as a folder or a digest; None for none."""
        return None

    def searches_memory(self) -> bool:
        """Whether each step searches a memory of the whole training set, which takes long."""
        return False

    def soft_label_caption(self, batch_size: int, num_samples: int) -> str:  # noqa: ARG002 - a hook
        """How soft labels are found, for the caption of a report's gallery; for methods that have them."""
        return ""

    def notes(self, batch_size: int, class_counts: Sequence[int]) -> list[str]:  # noqa: ARG002 - a hook
        """Sentences for the reader of a run's result."""
        return []
