"""How this process was started: alone, or by torchrun beside others. Read from the environment, without torch.

Reference:
    The variables are those of torchrun, https://docs.pytorch.org/docs/stable/elastic/run.html.
"""

import os

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def process_count() -> int:
    """Number of processes that were started together; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _NEEDED) else 1


def process_number() -> int:
    """The number of this process among them, its rank; 0 without torchrun."""
    return int(os.environ["RANK"]) if process_count() > 1 else 0


def number_on_machine() -> int:
    """The number of this process among those of its machine; 0 without torchrun."""
    return int(os.environ.get("LOCAL_RANK", process_number())) if process_count() > 1 else 0


def launcher() -> list[str]:
    """The beginning of the command that starts osakd as it was started."""
    processes = process_count()
    if processes == 1:
        return ["osakd"]
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    machines = [] if here == processes else ["--nnodes", str(processes // here)]
    return ["torchrun", *machines, "--nproc-per-node", str(here), "-m", "osakd"]
