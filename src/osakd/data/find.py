"""Where data are: a name of ours, a folder, or a data set of the hub; where a folder was last read. No images are read.

The cache remembers folders by the hash of their content, so that no record and no exported file needs a path.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from osakd.data.options import ImageOptions, recorded_options
from osakd.data.recipes import DATA
from osakd.durable import make_folder, write_record
from osakd.errors import InputError, RunError, unknown_name
from osakd.paths import cache_folder, given_path
from osakd.read_json import read_json

_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?")


class Place(NamedTuple):
    """Where a data set is: its kind (``named``, ``folder`` or ``hub``), and its folder, or hub id and configuration."""

    kind: str
    folder: Path | None = None
    hub: str = ""
    config: str | None = None


def find_data(data: str) -> Place:
    """Where the data are that a user names; an InputError where there are none."""
    if data in DATA:
        return Place("named", None, DATA[data].hub or "", DATA[data].config)
    folder = given_path(data)
    if folder.is_dir():
        return Place("folder", folder)
    if folder.exists():
        raise InputError(f"The data {data!r} is a file: give the folder that holds it.")
    hub = _HUB_ID.fullmatch(data)
    if hub and data[0] != ".":
        return Place("hub", None, hub[1], hub[2])
    if "/" in data or data[:1] in (".", "~"):
        raise InputError(f"The data folder {data!r} does not exist: check the path.")
    raise unknown_name("data", data, DATA, "; or a local folder, or a hub id such as uoft-cs/cifar10")


def remember(folder: Path, options: ImageOptions, content: str) -> None:
    """Notes in the cache that a folder, read with these options, has images of that content."""
    with suppress(InputError, RunError):  # nothing depends on it
        make_folder(_noted(content).parent)
        write_record(_noted(content), {"folder": str(folder.resolve()), **options.record()})


def remembered(content: str) -> tuple[str, ImageOptions] | None:
    """The folder that had images of that content when it was last read, and how it was; None for an unknown one."""
    try:
        values: Any = (read_json(_noted(content)) if _HASH.fullmatch(content) else None) or {}
        folder, here = Path(values["folder"]), Path.cwd()
    except (InputError, RunError, KeyError):
        return None
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder), recorded_options(values)


_HASH = re.compile("[0-9a-f]{16}")


def _noted(content: str) -> Path:
    return cache_folder() / "folders" / f"{content}.json"
