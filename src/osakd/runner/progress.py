"""How far runs are, as the runner sees them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.errors import InputError, RunError

if TYPE_CHECKING:
    from osakd.engine.plan import Plan


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        replicas: number of runs that are trained together with it; 0 where another run of its group stands for it.
        seconds_left: estimated seconds until it ends; None before two epochs were seen.
    """

    plan: "Plan"
    rows: list[dict[str, Any]] = field(default_factory=list)
    running: bool = False
    done: bool = False
    error: InputError | RunError | None = None
    replicas: int = 1
    notes: tuple[str, ...] = ()
    seconds_left: float | None = None


OnProgress = Callable[[list[Progress]], None]
"""Is called with the progress of every run and stage four times a second."""


@dataclass
class _Seen:
    """The first and the latest number of epochs seen of a run, and when each was seen first."""

    first: int
    since: float | None
    latest: int
    at: float


class TimeLeft:
    """Estimates the time left of running runs from the epochs seen since their start."""

    def __init__(self) -> None:
        self._seen: dict[Path, _Seen] = {}

    def estimate(self, plan: "Plan", epochs: int) -> float | None:
        """Seconds left of a run with this number of epochs now; None before two epochs of this start were seen."""
        now = time.monotonic()
        seen = self._seen.setdefault(plan.folder, _Seen(epochs, None, epochs, now))
        if epochs > seen.latest:
            seen.latest, seen.at = epochs, now
            if seen.since is None:  # the first epoch seen is not whole, or includes the start-up
                seen.first, seen.since = epochs, now
        if seen.since is None or epochs == seen.first:
            return None
        epoch = (seen.at - seen.since) / (epochs - seen.first)
        # However long the running epoch takes, no more than the time of one epoch is taken off for it.
        return (plan.config.epochs - epochs) * epoch - min(now - seen.at, epoch)

    def forget(self, plan: "Plan") -> None:
        """Forgets a run that has stopped; its next start is estimated anew."""
        self._seen.pop(plan.folder, None)
