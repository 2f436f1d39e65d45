"""Memory that is missing for one run of several."""

import resource
from pathlib import Path

import torch
from torch import nn

from chaos.children import EXECUTORS, REFUSED, compare, difference, run
from chaos.outcome import Outcome
from osakd import records
from osakd.errors import NO_MEMORY

_LARGE = {"name": "kd", "teacher": "chaos.memory:large"}
_MIB = 300
"""Memory that the runs may add: enough for all but the large teacher."""


def large(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """A network whose weights alone need as much memory as there is."""
    pixels = torch.Size(input_shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 10**6), nn.Linear(10**6, num_classes))


def missing(place: Path) -> Outcome:
    """One of three methods needs more memory than there is; the others go on, and the record says which failed."""
    outcome, folder = Outcome("out of memory in one run of several"), place / "runs"

    def limited() -> None:
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MIB * 2**20, resource.RLIM_INFINITY))
        compare(["plain", _LARGE, "osakd"], folder, **EXECUTORS["serial"])

    def unlimited() -> None:
        compare(["plain", "osakd"], place / "reference", **EXECUTORS["serial"])

    _, text = run(unlimited, place / "log")
    status, failed = run(limited, place / "log")
    errors = {run.name: error for run in folder.glob("*-seed0") if (error := records.read_run(run).error) is not None}
    wrong = text or difference(folder, place / "reference")
    if status != REFUSED or list(errors.values()) != [NO_MEMORY] or not next(iter(errors)).startswith("kd-"):
        wrong = wrong or f"exit {status}: {failed} {errors}"
    outcome.add("named in its record; the others ended, equal bit for bit", wrong=wrong)
    return outcome
