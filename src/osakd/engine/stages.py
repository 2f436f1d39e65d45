"""Methods of several stages: which run comes before another, and the networks that it leaves as teachers.

The run of the stage before lies in the folder ``teacher`` of a run, is a run folder itself, and may have a teacher of
its own. Its weights are never in its student's checkpoint.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from osakd import records
from osakd.durable import make_folder, write_atomic
from osakd.errors import InputError, RunError
from osakd.methods.registry import settings_of
from osakd.methods.teacher_runs import network_digest
from osakd.models.registry import check_trusted
from osakd.read_json import read_bytes
from osakd.records import TEACHER, RunConfig

if TYPE_CHECKING:
    from torch import nn

    from osakd.engine.plan import Plan

_COPIED = (records.CONFIG, records.METRICS, records.RESULT, records.STUDENT)
"""The network comes last: a folder that has it is complete."""


def previous_stage(config: RunConfig) -> RunConfig | None:
    """The run that must finish before this one can start, or None. It has random streams of its own."""
    stage = settings_of(config).previous_stage()
    if stage is None:
        return None
    return replace(
        config,
        method=stage.method,
        settings=asdict(stage.settings) if stage.settings else {},
        stage=config.stage + 1,
        refit=False,
        model=stage.model or config.model,
        epochs=stage.epochs or config.epochs,
    )


def copy_teacher(plan: "Plan") -> None:
    """Copies the run that teaches, where the user names one, into the run's folder, which then needs no other folder.

    Raises:
        InputError: its network is a function that its folder names, without ``trust``, and is not the network that the
            user names too.
    """
    if plan.teacher is None:
        return
    source, copy = plan.teacher, plan.folder / TEACHER
    theirs = records.read_config(source)
    if theirs is not None:
        check_trusted([theirs.model], source, trust=plan.trust or theirs.model == plan.config.model)
    if settings_of(plan.config).given_teacher() == network_digest(copy):
        return
    make_folder(copy)
    for file in _COPIED:
        if (content := read_bytes(source / file)) is not None:
            write_atomic(copy / file, content)


def teachers(config: RunConfig, folder: Path, class_names: tuple[str, ...]) -> "list[nn.Module]":
    """The networks of earlier stages, the latest first.

    Raises:
        RunError: the teacher is missing, or is not the one that this run began with.
        InputError: the teacher knows other classes.
    """
    from osakd.data.classes import listed, match_classes
    from osakd.engine.state import load_student

    earlier, wanted = previous_stage(config), settings_of(config).given_teacher()
    if earlier is None and wanted is None:
        return []
    place = folder / TEACHER
    theirs = records.read_config(place)
    if theirs is None or records.read_result(place) is None:
        raise RunError(f"The teacher's run {str(place)!r} is missing or not finished: give the same command again.")
    if wanted is not None and wanted != network_digest(place):
        raise RunError(f"The teacher in {str(place)!r} is not the one that this run began with: choose another folder.")
    _check_data(theirs, config)
    network = load_student(place, trust=True)  # the user names it, or `copy_teacher` has asked
    known: tuple[str, ...] = network.class_names  # type: ignore[assignment] - set by load_student
    if match_classes(known, class_names) != list(range(len(known))):
        raise InputError(
            f"The teacher knows the classes {listed(known)}, but the data have {listed(class_names)}: take a teacher "
            "of the same classes in the same order."
        )
    return [network, *(teachers(theirs, place, class_names) if earlier else [])]


def _check_data(teacher: RunConfig, config: RunConfig) -> None:
    """A teacher from elsewhere must know the same classes."""
    theirs, ours = teacher.data, config.data
    for what, of_teacher, of_run in (
        ("classes", len(theirs["class_counts"]), len(ours["class_counts"])),
        ("images of shape", theirs["input_shape"], ours["input_shape"]),
    ):
        if of_teacher != of_run:
            raise InputError(
                f"The teacher knows {what} {of_teacher}, but the data have {of_run}: take another teacher."
            )


def teacher_notes(folder: Path, config: RunConfig) -> list[str]:
    """A warning where the teacher was trained on images that its student holds out for validation."""
    teacher = records.read_config(folder / TEACHER) if settings_of(config).given_teacher() else None
    if teacher is None or not config.validation or teacher.data["content"] != config.data["content"]:
        return []
    held_out = (config.validation, config.seed, config.fraction)
    if (teacher.validation, teacher.seed, teacher.fraction) == held_out:
        return []
    return [
        "Warning: the teacher was trained on images that this run holds out for validation, so validation scores may "
        "be too high: train it with the same --validation, --seed and --fraction."
    ]


def teacher_digest(folder: Path) -> str:
    """What a checkpoint records of the teacher: its place in the run folder and its SHA-256; empty without one."""
    teacher = folder / TEACHER
    return f"{TEACHER}/{records.STUDENT} {network_digest(teacher).partition(':')[2]}" if teacher.exists() else ""
