"""Paths as users give them, and the folder of what osakd may delete."""

import os
from pathlib import Path

from osakd.errors import InputError


def given_path(path: str | Path) -> Path:
    """The path that the user means: ``~`` and ``~user`` become a home directory.

    Every function and command passes the paths it is given through here, once.

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


def cache_folder() -> Path:
    """The folder of decoded images and built kernels.

    ``$OSAKD_CACHE``, or ``$XDG_CACHE_HOME/osakd``, or ``~/.cache/osakd``; it may be deleted at any time.
    """
    if os.environ.get("OSAKD_CACHE"):
        return given_path(os.environ["OSAKD_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osakd"
