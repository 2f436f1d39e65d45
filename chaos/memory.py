"""Memory that is missing: for one run of several, and in /dev/shm, where processes share it."""

import resource
import shutil
import subprocess
from pathlib import Path

import torch
from torch import nn

from chaos.children import difference, options_of, run, say
from chaos.outcome import Outcome
from chaos.processes import compare, finished
from osakd import records
from osakd.errors import NO_MEMORY
from osakd.runner.planning import plan_comparison
from osakd.runner.run import run_jobs

_LARGE = {"name": "kd", "teacher": "chaos.memory:large"}
_MIB = 300
"""Memory that the runs may add: enough for all but the large teacher."""
_SHARED = "/dev/shm"  # noqa: S108 - not to write there


def large(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """A network whose weights alone need as much memory as there is."""
    pixels = torch.Size(input_shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 10**6), nn.Linear(10**6, num_classes))


def missing(place: Path) -> Outcome:
    """One of three methods needs more memory than there is; the others go on, and the record says which failed."""
    outcome = Outcome("out of memory in one run of several")
    small, folder, reference = ["plain", "osakd"], place / "runs", place / "reference"

    def train(methods: list[str | dict[str, str]], out: Path) -> int:
        _, jobs = plan_comparison("digits", methods, [0], options_of("serial"), out)
        return len(run_jobs(jobs, processes=1, on_progress=lambda _: None))

    def limited() -> int:
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MIB * 2**20, resource.RLIM_INFINITY))
        return train([small[0], _LARGE, small[1]], folder)

    undisturbed = run(lambda: train([*small], reference), place / "log")
    failed, text = run(limited, place / "log")
    errors = {one.name: records.read_error(one) for one in folder.glob("*-seed0")}
    said = [f"{name}: {error}" for name, error in errors.items() if error is not None]
    wrong = difference(folder, reference) or str(undisturbed[1])
    if failed != 1 or not (len(said) == 1 and said[0].startswith("kd-") and said[0].endswith(NO_MEMORY)):
        wrong = wrong or f"{failed} failed {said} {text}"
    outcome.add("wrong" if wrong else "named in its record; the others ended, equal bit for bit", wrong=wrong)
    return outcome


def not_shared(place: Path, reference: Path) -> Outcome:
    """The folder of shared memory has room for no lock, or for a few; one process needs none.

    Args:
        place: folder to work in.
        reference: what ``processes.compare`` gives undisturbed.
    """
    outcome = Outcome(f"{_SHARED} too small")
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:  # noqa: S607
        say(f"{_SHARED} cannot be made small here: that takes unshare, and root")
        return outcome
    folder = place / "not-shared"
    for pages in (1, 3):
        said = finished([*_small(pages), *compare(folder, "--processes", "2")], place)
        right = _SHARED in said
        outcome.add(
            "refused in a sentence" if right else "not refused", wrong="" if right else f"{pages} pages: {said}"
        )
    wrong = finished([*_small(1), *compare(folder, "--processes", "1")], place) or difference(folder, reference)
    outcome.add("wrong" if wrong else "one process ended, equal bit for bit", wrong=wrong)
    return outcome


def _small(pages: int) -> list[str]:
    """What starts a command that has so many pages of shared memory."""
    mount = f"mount -t tmpfs -o size={4 * pages}k tmpfs {_SHARED}"
    return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]
