"""A teacher that is a finished run: how it is named in a student's configuration. Nothing here imports torch."""

from pathlib import Path

from osakd import records
from osakd.errors import InputError
from osakd.models.registry import MODELS
from osakd.paths import file_digest, given_path
from osakd.records import TEACHER

_DIGEST = "sha256:"


def recorded_teacher(teacher: str) -> str:
    """A teacher as a configuration records it: a network's name as it is, a run's folder as its network's digest.

    Raises:
        InputError: neither the name of a network nor the folder of a finished run.
    """
    folder = given_path(teacher)
    if teacher in MODELS or (":" in teacher and not is_recorded(teacher) and not folder.exists()):
        return teacher
    if records.read_result(folder) is None or not (folder / records.STUDENT).exists():
        raise InputError(
            f"The teacher {teacher!r} is neither the name of a network (see osakd list) nor the folder of a finished "
            f"run; a run that began with it holds a copy: name its folder {TEACHER}."
        )
    return network_digest(folder)


def is_recorded(teacher: str) -> bool:
    """Whether this is the digest of a finished run's network."""
    return teacher.startswith(_DIGEST)


def network_digest(folder: Path) -> str:
    """``sha256:`` and the digest of the deployed network in a run's folder; nothing after the colon without one."""
    try:
        return file_digest(folder / records.STUDENT)
    except FileNotFoundError:
        return _DIGEST
