"""The memory that a model adds to a process of its own, ``python -m osakd.deploy.memory MODEL``."""

import os
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import torch

from osakd.api.runs import load
from osakd.deploy.exported import format_of

_STATM = Path("/proc/self/statm")
_CALLS = 3


def added_memory(path: Path) -> float | None:
    """The resident memory, in MiB, that a model and its first calls add to a process that has imported its runtime.

    None where the system does not tell: everywhere but on Linux.
    """
    if not _STATM.exists():
        return None
    process = subprocess.run(  # noqa: S603 - our own module, and a path that was loaded before
        [sys.executable, "-m", __name__, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
    )
    with suppress(ValueError, IndexError):
        return float(process.stdout.split()[-1])
    return None


@torch.no_grad()
def _measure(path: Path) -> float:
    if path.is_file():
        import_module(format_of(path).RUNTIME)
    before = _resident()
    network = load(path, trust=True)
    images = torch.zeros(1, *network.input_shape)
    for _ in range(_CALLS):
        network(images)
    return (_resident() - before) / 2**20


def _resident() -> int:
    """The resident memory of this process, in bytes."""
    return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(_measure(Path(sys.argv[1])))  # noqa: T201 - to the process that asked
