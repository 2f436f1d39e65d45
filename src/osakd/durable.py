"""Writes files that survive a crash or a power failure: each is whole, and in its folder, when the call returns."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from osakd.errors import as_sentences

LEFT_OVER = ".tmp"
"""Ending of the temporary files that a killed process may leave."""


def append(path: Path, row: dict[str, Any]) -> None:
    """Adds one line to a JSON lines file, in one write that has reached the disk when this returns."""
    with as_sentences(path):
        is_new = not path.exists()
        with path.open("ab") as stream:
            stream.write(json.dumps(row).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            sync_folder(path.parent)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    write_atomic(path, (json.dumps(value, indent=2) + "\n").encode())


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: a temporary file beside it, fsync, rename, fsync of the folder.

    Raises:
        RunError: the disk is full or the folder cannot be written; what was there before is untouched.
        InputError: a file is where the folder should be.
    """
    with as_sentences(path):
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=LEFT_OVER)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(beside, 0o644)  # noqa: PTH101 - a plain string; mkstemp makes it private
            os.replace(beside, path)  # noqa: PTH105 - as above
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Brings the entries of a folder to the disk: without that a power failure may undo a rename."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
