"""Reading what a run left: a file is complete, or one sentence says what is wrong with it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        with _as_sentences(path), path.open("rb", buffering=0) as stream:
            return stream.readall()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_lines(path: Path, longest: int = 2**26) -> Iterator[bytes]:
    """Reads a file line by line; what is longer than that many bytes comes in pieces.

    Raises:
        RunError: the file cannot be read.
    """
    with _as_sentences(path), path.open("rb") as stream:
        while text := stream.readline(longest):
            yield text.rstrip(b"\n")


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder but hidden ones, in the order of their names; none where it is missing.

    Raises:
        InputError: the folder may not be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise InputError(
            f"No permission to read {str(folder)!r}: choose another folder or change this one's."
        ) from error


def parse(text: bytes, *, has_checksum: bool = False) -> dict[str, Any]:
    """The JSON object in a text, without its checksum; older files have none.

    Raises:
        ValueError: it is something else, or was changed after it was written.
        RecursionError: it is nested too deeply.
    """
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"it holds {type(value).__name__}")
    if not check(text, value) and has_checksum:
        raise ValueError("it has no checksum")
    return value


def read_json(path: Path) -> dict[str, Any] | None:
    """Reads the JSON object in a file; None where there is no file.

    Raises:
        RunError: the file is damaged, or cannot be read.
    """
    content = read_bytes(path)
    try:
        return None if content is None else parse(content)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error


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


def build(kind: type[Kind], values: dict[str, Any], needed: Sequence[str]) -> Kind:
    """Makes a record from the values in its file; without those of the needed dotted names it is of no use.

    Raises:
        TypeError: the values are not those of this version of osakd.
        ValueError: a needed value is missing.
    """
    record = kind(**values)
    for name in needed:
        value: Any = values
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            raise ValueError(f"it has no {name}")
    return record


def damaged(path: Path, why: object) -> RunError:
    """The error that a file is damaged."""
    return RunError(f"{str(path)!r} is damaged ({why}): move the run folder away and run again.")


@contextmanager
def _as_sentences(path: Path) -> Iterator[None]:
    """Turns what the file system refuses into one sentence; that there is no file is not refused."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except PermissionError as error:
        raise RunError(f"No permission to read {str(path)!r}: change its permissions.") from error
    except OSError as error:
        raise damaged(path, error.strerror) from error
