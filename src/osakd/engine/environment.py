"""The environment of a run: versions, commit, device. It records no path, host or user name."""

import platform
import subprocess
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from osakd.errors import InputError


def environment(device: torch.device) -> dict[str, Any]:
    """What a result depends on besides its configuration."""
    return {
        "osakd": version("osakd"),
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def commit() -> str | None:
    """The commit of osakd's checkout, with a plus sign where files differ from it; None outside a checkout."""
    name = Path(__file__).name
    tracked = _git("ls-files", "--error-unmatch", name)
    return _git("describe", "--always", "--dirty=+", "--exclude=*", "--abbrev=12") if tracked else None


def pick_device(name: str | None) -> torch.device:
    """The device of that name, by default the first GPU, else the CPU; an InputError where there is no such device."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"The device {name!r} cannot be used here (there is none, or torch is built without it): take cpu."
        ) from error
    return device


def current(device: torch.device) -> AbstractContextManager[object]:
    """Makes a GPU the current device, which streams and captured graphs belong to, wherever their tensors are."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _git(*arguments: str) -> str | None:
    """The output of git in osakd's folder; None where git fails or is missing."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - the user's git
            cwd=Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
