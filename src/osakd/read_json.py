"""Reading what a run left: a file is whole, with the values that its readers rely on, or one sentence says why not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from osakd.errors import InputError, RunError

Kind = TypeVar("Kind")


def read_bytes(path: Path) -> bytes | None:
    """The content of a file, or None where there is none.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise RunError(f"No permission to read {str(path)!r}: change its permissions.") from error
    except OSError as error:
        raise damaged(path, error.strerror) from error


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, or None where there is no file.

    Raises:
        RunError: it is damaged, or cannot be read.
    """
    content = read_bytes(path)
    if content is None:
        return None
    try:
        found = json.loads(content)
    except ValueError as error:
        raise damaged(path, error) from error
    if not isinstance(found, dict):
        raise damaged(path, f"it holds {type(found).__name__}")
    return found


def build(kind: type[Kind], found: dict[str, Any], path: Path, needed: Sequence[str]) -> Kind:
    """A record from its values.

    Args:
        kind: of record.
        found: its values.
        path: where they were read.
        needed: dotted names of the values within them that it is of no use without.

    Raises:
        InputError: it has other values than this version's.
        RunError: one that is needed is missing.
    """
    try:
        record = kind(**found)
    except TypeError as error:
        raise InputError(f"{str(path)!r} was written by another version of osakd: choose another folder.") from error
    for name in needed:
        value: Any = found
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            raise damaged(path, f"it has no {name}")
    return record


def damaged(path: Path, why: object) -> RunError:
    """What is said of a damaged file."""
    return RunError(f"{str(path)!r} is damaged ({why}): move the run folder away and run again.")
