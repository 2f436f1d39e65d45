"""Methods of several stages: which run comes before another, and the networks that it leaves as teachers.

The run of the stage before lies in the folder ``teacher`` of a run, is a run folder itself, and may have a teacher of
its own. Its weights are never in its student's checkpoint.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd import records
from osakd.errors import InputError, RunError
from osakd.methods.lookup import resolve_method
from osakd.models.lookup import MODELS
from osakd.records import TEACHER, RunConfig

if TYPE_CHECKING:
    from torch import nn

_DIGEST = "sha256:"
_STAGED = ("kd", "born-again", "srdl")
_COPIED = (records.CONFIG, records.METRICS, records.RESULT, records.STUDENT)
"""The network last: what has it is whole."""


def previous_stage(config: RunConfig) -> RunConfig | None:
    """The run that must be finished before this one, or None. Its random streams are its own."""
    plain = replace(config, method="plain", settings={}, stage=config.stage + 1)
    settings = config.settings
    if config.method == "kd" and not settings["teacher"].startswith(_DIGEST):
        return replace(plain, model=settings["teacher"])
    if config.method == "srdl":
        return replace(plain, epochs=settings["first_epochs"])
    if config.method == "born-again" and settings["generations"] > 1:
        older = settings | {"generations": settings["generations"] - 1}
        return replace(plain, method="born-again", settings=older)
    return plain if config.method == "born-again" else None


def stages(config: RunConfig, folder: Path) -> list[tuple[RunConfig, Path]]:
    """Every run that a run consists of, with its folder, the first one first."""
    earlier = previous_stage(config)
    return [*(stages(earlier, folder / TEACHER) if earlier else []), (config, folder)]


def teacher_name(given: str) -> str:
    """A teacher as it is recorded: a network's name as it is, a run's folder as the digest of its network.

    Raises:
        InputError: neither the name of a network nor the folder of a finished run.
    """
    folder = Path(given).expanduser()
    if given in MODELS or (":" in given and not given.startswith(_DIGEST) and not folder.exists()):
        return given
    if records.read_result(folder) is None or not (folder / records.STUDENT).exists():
        raise InputError(
            f"The teacher {given!r} is neither the name of a network (see osakd list) nor the folder of a finished "
            f"run; a run that began with it holds a copy: name its folder {TEACHER}."
        )
    return _DIGEST + _digest(folder)


def copy_teacher(method: str | Mapping[str, Any], config: RunConfig, folder: Path) -> None:
    """Copies the teacher's run, where the method names one, into the run's folder: it then needs no other folder.

    Args:
        method: as the user gave it.
        config: the complete configuration.
        folder: of the run.
    """
    name, settings = resolve_method(method)
    wanted = config.settings.get("teacher", "")
    source, copy = Path(str(settings.get("teacher", ""))).expanduser(), folder / TEACHER
    if name != "kd" or not wanted.startswith(_DIGEST) or wanted == _DIGEST + _digest(copy):
        return
    with records.as_sentences(copy):
        copy.mkdir(parents=True, exist_ok=True)
    for file in _COPIED:
        if (source / file).exists():
            records.write_atomic(copy / file, (source / file).read_bytes())


def teachers(config: RunConfig, folder: Path, class_names: tuple[str, ...]) -> "list[nn.Module]":
    """The networks of the stages before this one, the latest first.

    Args:
        config: of the run.
        folder: of the run.
        class_names: of its data.

    Raises:
        RunError: the teacher is missing, or another one than this run began with.
        InputError: a teacher for other classes.
    """
    from osakd.engine.evaluate import same_classes
    from osakd.engine.state import load_student

    if config.method not in _STAGED:
        return []
    place = folder / TEACHER
    found = records.read_config(place)
    if found is None or records.read_result(place) is None:
        raise RunError(f"The teacher's run {str(place)!r} is missing or not finished: give the same command again.")
    wanted = config.settings.get("teacher", "")
    if wanted.startswith(_DIGEST) and wanted != _DIGEST + _digest(place):
        raise RunError(f"The teacher in {str(place)!r} is not the one that this run began with: choose another folder.")
    _check_data(found, config)
    network = load_student(place)
    known: tuple[str, ...] = network.class_names  # type: ignore[assignment] - set by load_student
    if not same_classes(known, class_names):
        raise InputError(
            f"The teacher knows the classes {', '.join(known[:5])}, ... but the data have "
            f"{', '.join(class_names[:5])}, ...: take a teacher of the same classes."
        )
    return [network, *(teachers(found, place, class_names) if config.method == "born-again" else [])]


def _check_data(teacher: RunConfig, config: RunConfig) -> None:
    """A teacher from elsewhere must know the same classes, and must not have seen what this run holds out."""
    theirs, ours = teacher.data, config.data
    for what, one, other in (
        ("classes", len(theirs["class_counts"]), len(ours["class_counts"])),
        ("images of shape", theirs["input_shape"], ours["input_shape"]),
    ):
        if one != other:
            raise InputError(f"The teacher knows {what} {one}, but the data have {other}: take another teacher.")
    if config.validation and theirs["content"] == ours["content"]:
        held_out = (config.validation, config.seed, config.fraction)
        if (teacher.validation, teacher.seed, teacher.fraction) != held_out:
            raise InputError(
                "The teacher was trained on images that this run holds out for validation: train it with the same "
                "--validation, --seed and --fraction."
            )


def teacher_digest(folder: Path) -> str:
    """What a checkpoint says of the teacher: its place in the run folder and its SHA-256; empty without one."""
    return f"{TEACHER}/{records.STUDENT} {_digest(folder / TEACHER)}" if (folder / TEACHER).exists() else ""


def _digest(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / records.STUDENT).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""
