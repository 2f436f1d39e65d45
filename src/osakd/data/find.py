"""Where data are: a name of ours, a folder, or a data set of the hub. Nothing is read, and no library imported."""

import re
from pathlib import Path
from typing import NamedTuple

from osakd.data.recipes import DATA
from osakd.errors import InputError, unknown_name
from osakd.paths import given_path

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
