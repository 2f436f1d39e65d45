"""Files that commands are asked to write, looked at before the work that they are the end of."""

import os
from pathlib import Path

from osakd.errors import InputError, RunError


def check_file(path: Path) -> None:
    """Checks that a file can be written, as far as that can be told.

    Raises:
        InputError: the path is a folder, or there is no folder to write to.
        RunError: no permission to write there.
    """
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder: name the file to write.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {str(path.parent)!r} does not exist: create it or choose another.")
    if not os.access(path.parent, os.W_OK):
        raise RunError(
            f"No permission to write to {str(path.parent)!r}: choose another folder or change its permissions."
        )
