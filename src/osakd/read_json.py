"""Reading what a run left: a file is complete and of the known types, or one sentence says what is wrong with it."""

import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from math import isfinite, prod
from pathlib import Path
from types import FunctionType, NoneType, UnionType
from typing import (
    Annotated,
    Any,
    BinaryIO,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from osakd.durable import check
from osakd.errors import InputError, RunError

Kind = TypeVar("Kind")
Count = Annotated[int, lambda value: 0 <= value < 2**63]
Positive = Annotated[Count, lambda value: value > 0]
Shape = Annotated[list[Positive], lambda shape: len(shape) == 3 and prod(shape) <= 2**28]
Share = Annotated[float, lambda value: 0 <= value <= 1]
Seen = set[tuple[int, int]]
"""Folders by device and inode."""
MOST_EPOCHS = 2**31
_MOST_BYTES, _DEEPEST, _LARGEST = 2**28, 32, 1e300


def read_bytes(path: Path, most: int = 2**32) -> bytes | None:
    """Reads a file of at most so many bytes; None where there is none.

    Raises:
        RunError: the file cannot be read, is larger, or is a pipe or a device.
    """
    try:
        with _opened(path) as stream:
            if os.fstat(stream.fileno()).st_size > most:
                raise damaged(path, f"it has more than {most >> 20} MiB")
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_lines(path: Path, longest: int = 2**26) -> Iterator[bytes]:
    """Reads a file line by line; what is longer than that many bytes comes in pieces.

    Raises:
        RunError: the file cannot be read.
    """
    with _opened(path) as stream:
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


def is_first(folder: Path, seen: Seen) -> bool:
    """Whether a folder is not among those seen, to which it is added: links may lead to one from many places."""
    with suppress(OSError):
        status = folder.stat()
        place = status.st_dev, status.st_ino
        return not (place in seen or seen.add(place))
    return True  # it may be packed beside its name


def load_json(text: str | bytes) -> Any:
    """The value in a JSON text; what is not a number is None.

    Raises:
        ValueError: it is not JSON, or is nested more than 32 deep.
    """
    try:
        return checked_depth(json.loads(text, parse_constant=lambda _: None))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def checked_depth(value: Any, deepest: int = _DEEPEST) -> Any:
    """The value that a text holds; a ValueError where its lists and mappings are nested more than so deep."""
    if not deepest:
        raise ValueError("it is nested too deeply")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(each, dict | list):
            checked_depth(each, deepest - 1)
    return value


def parse(text: bytes, *, has_checksum: bool = False) -> dict[str, Any]:
    """The JSON object in a text, without its checksum; older files have none.

    Raises:
        ValueError: it is something else, or was changed after it was written.
    """
    value = load_json(text)
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
    content = read_bytes(path, _MOST_BYTES)
    try:
        return None if content is None else parse(content)
    except ValueError as error:
        raise damaged(path, error) from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of a learning curve; a last line that was torn by a crash is left out.

    Raises:
        RunError: the file is damaged, or cannot be read.
    """
    content = read_bytes(path, _MOST_BYTES) or b""
    # A complete line ends with a newline, so what follows the last one was torn.
    lines = content[: content.rfind(b"\n") + 1].rstrip(b"\n")
    try:
        rows = load_json(b"[" + lines.replace(b"\n", b",") + b"]")
        texts = lines.split(b"\n") if rows else []
        if len({check(text, row) for text, row in zip(texts, rows, strict=True)}) > 1:
            raise ValueError("a row without its checksum")
        for row in rows:
            values = flattened(row).values()
            if not set(map(type, values)) <= {int, float, NoneType} or not all(map(isfinite, filter(None, values))):
                raise ValueError("a value that is no number")
            if type(row["epoch"]) is not int or not 0 < row["epoch"] < MOST_EPOCHS:
                raise ValueError("an epoch that is not one")
            if not (dict(row["train"]) and row["seconds"] >= 0):
                raise ValueError("a row without values")
            if any(not 0 <= row[part]["accuracy"] <= 1 for part in ("test", "validation") if part in row):
                raise ValueError("an accuracy that is not one")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise damaged(path, error) from error
    return rows


def build(kind: type[Kind], values: dict[str, Any]) -> Kind:
    """Makes a record from the values in its file.

    Raises:
        TypeError: the values are not those of this version of osakd.
        ValueError: a value is missing, or is not of its type.
    """
    record = kind(**values)
    for name, hint in _hints(kind).items():
        check_type(getattr(record, name), hint, name)
    return record


def check_type(value: Any, hint: Any, name: str) -> None:
    """A ValueError where a value is not of a type, as JSON holds it: a float is finite, or a whole number."""
    if wrong := _wrong(value, hint, name):
        raise ValueError(wrong)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _wrong(value: Any, hint: Any, name: str) -> str | None:
    origin, parts = get_origin(hint), get_args(hint)
    found: Iterable[str | None] = ()
    if is_typeddict(hint) and isinstance(value, dict):
        for key in sorted(hint.__required_keys__ - value.keys()):
            return f"it has no {name}.{key}"
        found = (_wrong(value[key], part, f"{name}.{key}") for key, part in _hints(hint).items() if key in value)
    elif origin in (Annotated, NotRequired):
        found = (_wrong(value, part, name) for part in parts)
    elif origin in (Union, UnionType):
        each = [_wrong(value, part, name) for part in parts]
        return None if None in each else each[0]
    elif origin in (dict, list, tuple) and isinstance(value, origin):
        inside, part = (value.values(), parts[1]) if isinstance(value, dict) else (value, parts[0])
        found = (_wrong(inner, part, name) for inner in inside)
    elif origin is Literal:
        return None if value in parts else f"its {name} is {value!r:.40}"
    elif hint is float and type(value) in (int, float):
        found = () if abs(value) < _LARGEST else (f"its {name} is {value}",)
    elif not (hint is Any or type(value) is hint or (isinstance(hint, FunctionType) and hint(value))):
        return f"its {name} is {value!r:.40}"
    return next(filter(None, found), None)


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in flattened(value).items()}
        else:
            flat[key] = value
    return flat


def damaged(path: Path, why: object) -> RunError:
    """The error that a file is damaged."""
    return RunError(f"{str(path)!r} is damaged ({why}): move the run folder away and run again.")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Opens a file, never a pipe or a device; what the file system refuses is a sentence, but that there is no file."""
    try:
        # Without waiting: a pipe answers only when somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "Is a directory" if stat.S_ISDIR(mode) else "it is not a file")
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor
            yield stream
    except (FileNotFoundError, NotADirectoryError):
        raise
    except PermissionError as error:
        raise RunError(f"No permission to read {str(path)!r}: change its permissions.") from error
    except OSError as error:
        raise damaged(path, error.strerror) from error
