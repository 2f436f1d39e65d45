"""Reading what a run left: a file is complete, or one sentence says what is wrong with it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from osakd.durable import check
from osakd.errors import InputError, RunError

Kind = TypeVar("Kind")
_SCORES = ("accuracy", "nll", "ece")


def read_bytes(path: Path) -> bytes | None:
    """Reads a file; None where there is none.

    Raises:
        RunError: the file cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as stream:
            return stream.readall()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise RunError(f"No permission to read {str(path)!r}: change its permissions.") from error
    except OSError as error:
        raise damaged(path, error.strerror) from error


def read_json(path: Path) -> dict[str, Any] | None:
    """Reads the JSON object in a file; None where there is no file.

    Raises:
        RunError: the file is damaged, or cannot be read.
    """
    content = read_bytes(path)
    if content is None:
        return None
    try:
        value = json.loads(content)
        if not isinstance(value, dict):
            raise ValueError(f"it holds {type(value).__name__}")
        check(content, value)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    return value


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of a learning curve; a last line that was torn by a crash is left out.

    Raises:
        RunError: the file is damaged, or cannot be read.
    """
    content = read_bytes(path) or b""
    # A complete line ends with a newline, so what follows the last one was torn.
    lines = content[: content.rfind(b"\n") + 1].rstrip(b"\n")
    try:
        rows = json.loads(b"[" + lines.replace(b"\n", b",") + b"]")
        texts = lines.split(b"\n") if rows else []
        if len({check(text, row) for text, row in zip(texts, rows, strict=True)}) > 1:
            raise ValueError("a row without its checksum")
        if not all(type(row["epoch"]) is int and row["epoch"] > 0 and row["train"] for row in rows):
            raise ValueError("a row without values")
        for part in ("test", "validation"):
            scored = [row[part] for row in rows if part in row]
            if not all(isinstance(scores[key], float | int) for scores in scored for key in _SCORES):
                raise ValueError("a score that is no number")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from error
    return rows


def build(kind: type[Kind], values: dict[str, Any], path: Path, needed: Sequence[str]) -> Kind:
    """Makes a record from the values in its file.

    Args:
        kind: class of the record.
        values: its values.
        path: file that they were read from.
        needed: dotted names of the values without which the record is of no use.

    Raises:
        InputError: the values are not those of this version of osakd.
        RunError: a needed value is missing.
    """
    try:
        record = kind(**values)
    except TypeError as error:
        raise InputError(f"{str(path)!r} was written by another version of osakd: choose another folder.") from error
    for name in needed:
        value: Any = values
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            raise damaged(path, f"it has no {name}")
    return record


def damaged(path: Path, why: object) -> RunError:
    """The error that a file is damaged."""
    return RunError(f"{str(path)!r} is damaged ({why}): move the run folder away and run again.")
