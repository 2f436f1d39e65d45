"""The exporters of other packages, without their warnings, and a sentence where a package is missing."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from osakd.errors import InputError


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Python's warnings and log messages from the terminal: they speak to the authors of exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def without_stderr() -> Iterator[None]:
    """Keeps what native code writes to the error stream from the terminal; exceptions still say what went wrong."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def from_extra(extra: str) -> Iterator[None]:
    """Imports of the packages of an extra.

    Raises:
        InputError: one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"This needs the package {(error.name or extra).partition('.')[0]!r}, which is not installed: "
            f"pip install 'osakd[{extra}]'."
        ) from error
