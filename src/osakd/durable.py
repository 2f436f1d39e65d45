"""Writes files that survive a crash or a power failure: each is whole, and in its folder, when the call returns."""

import errno
import json
import os
import zlib
from math import isfinite
from pathlib import Path
from secrets import token_hex
from typing import Any

from osakd.errors import as_sentences

LEFT_OVER = ".tmp"
"""Ending of the temporary files that a killed process may leave."""
_CHECK = "crc32"


def append(path: Path, row: dict[str, Any]) -> None:
    """Adds one line to a JSON lines file, in one write that has reached the disk when this returns."""
    with as_sentences(path):
        is_new = not path.exists()
        with path.open("ab") as stream:
            stream.write(line(row))
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            sync_folder(path.parent)


def line(row: dict[str, Any], *, compact: bool = False) -> bytes:
    """A row as a line of a JSON lines file, with a checksum as its last value; compact without spaces."""
    separator = "," if compact else ", "
    return _with_check(dumps(row, separators=(separator, ":" if compact else ": "))[:-1], separator, "}\n")


def write_record(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON file as ``write_json``, with a checksum as its last value."""
    write_atomic(path, _with_check(dumps(value, indent=2)[:-2], ",\n  ", "\n}\n"))


def check(content: bytes, value: dict[str, Any]) -> bool:
    """Takes the checksum out of a value that was read; whether there was one (older files have none).

    The content is that of the value, as ``line`` or ``write_record`` wrote it.

    Raises:
        ValueError: the text is not what was written.
    """
    found = value.pop(_CHECK, None)
    if found is None:
        return False
    before = content[: content.rfind(b",", 0, content.rfind(f'"{_CHECK}"'.encode()))]
    if found != f"{zlib.crc32(before):08x}":
        raise ValueError("its checksum does not fit: it was changed after it was written")
    return True


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    write_atomic(path, (dumps(value, indent=2) + "\n").encode())


def write_atomic(path: Path, content: bytes, *, previous: Path | None = None) -> None:
    """Writes a file whole or not at all: a temporary file beside it, fsync, rename, fsync of the folder.

    What was there before is kept as ``previous``, in the same folder, where that is given.

    Raises:
        RunError: the disk is full or the folder cannot be written; what was there before is untouched.
        InputError: a file is where the folder should be.
    """
    with as_sentences(path):
        beside = path.with_name(f".{path.name}.{token_hex(4)}{LEFT_OVER}")
        with beside.open("xb") as stream:  # with the permissions of any new file
            try:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
                if previous is not None and path.exists():
                    path.replace(previous)
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, where they are missing; their entries have reached the disk on return."""
    with as_sentences(folder):
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for one in missing:
            sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Brings the entries of a folder to the disk: without that a power failure may undo a rename."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # shares that cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def dumps(value: Any, **form: Any) -> str:
    """A value as JSON; what is not a finite number is null."""
    try:
        return json.dumps(value, allow_nan=False, **form)
    except ValueError:
        return json.dumps(_finite(value), **form)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _with_check(text: str, separator: str, end: str) -> bytes:
    content = text.encode()
    return content + f'{separator}"{_CHECK}": "{zlib.crc32(content):08x}"{end}'.encode()
