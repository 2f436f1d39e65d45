"""Paths as users give them, and the folder of the cache."""

import hashlib
import os
from pathlib import Path

from osakd.errors import InputError, RunError


def given_path(path: str | Path) -> Path:
    """The path that the user means: ``~`` and ``~user`` become a home directory.

    Every function and command passes the paths of its caller through here, once.

    Raises:
        InputError: there is no such user, or the path holds a null character.

    Example:
        >>> given_path("runs/first").as_posix()
        'runs/first'
    """
    if "\0" in str(path):
        raise InputError(f"The path {str(path)!r} holds a null character, which no path may: write it again.")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"The path {str(path)!r} names a home directory that does not exist: write the folder out."
        ) from error


def out_path(path: str | Path) -> Path:
    """The path of a file that will be written, checked before the work that ends with it.

    Raises:
        InputError: the path is a folder, there is no folder to write to, or see ``given_path``.
        RunError: no permission to write there.
    """
    out_file = given_path(path)
    if out_file.is_dir():
        raise InputError(f"{str(out_file)!r} is a folder: name the file to write.")
    if not out_file.parent.is_dir():
        raise InputError(f"The folder {str(out_file.parent)!r} does not exist: create it or choose another.")
    if not os.access(out_file.parent, os.W_OK):
        raise RunError(
            f"No permission to write to {str(out_file.parent)!r}: choose another folder or change its permissions."
        )
    return out_file


def cache_folder() -> Path:
    """The folder of decoded images and built kernels.

    ``$OSAKD_CACHE``, or ``$XDG_CACHE_HOME/osakd``, or ``~/.cache/osakd``; it may be deleted at any time.

    Raises:
        InputError: none is named, and this user has no home directory.
    """
    if os.environ.get("OSAKD_CACHE"):
        return given_path(os.environ["OSAKD_CACHE"])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osakd"
    except RuntimeError as error:
        raise InputError(
            "There is no home directory to keep the cache in: name a folder in the environment variable OSAKD_CACHE."
        ) from error


def file_digest(path: Path) -> str:
    """What a configuration records of a file of weights: ``sha256:`` and the digest of its content."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
