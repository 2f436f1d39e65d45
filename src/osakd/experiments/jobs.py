"""What is to be run: jobs, and the programs that they may share."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from osakd.engine.config import ExecutorName
from osakd.errors import InputError, RunError
from osakd.records import RunConfig, read_metrics


@dataclass(frozen=True)
class Job:
    """One run to make.

    Attributes:
        label: of its method, for people.
        data: as ``load_data`` takes it.
        config: its complete configuration.
        folder: where it is recorded.
        device: to run on, None for the default.
        executor: as the user asked.
    """

    label: str
    data: str
    config: RunConfig
    folder: Path
    device: str | None
    executor: ExecutorName = "auto"


Program = tuple[Job, ...]
Errors = dict[Path, InputError | RunError]


def programs_of(jobs: Sequence[Job]) -> list[Program]:
    """Jobs that may share a program: all but seed and method are equal, and every seed has the same methods."""
    by_seed: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        shared = {k: v for k, v in asdict(job.config).items() if k not in ("method", "settings", "seed")}
        shared["data"] = {k: v for k, v in shared["data"].items() if k != "class_counts"}
        key = json.dumps([shared, job.data, job.device], sort_keys=True)
        by_seed.setdefault((key, job.config.seed), []).append(job)
    alike: dict[tuple[str, tuple[str, ...]], list[Job]] = {}
    for (key, _), group in by_seed.items():
        group = sorted(group, key=lambda job: job.label)
        alike.setdefault((key, tuple(job.label for job in group)), []).extend(group)
    return [tuple(group) for group in alike.values() if len(group) > 1]


def longest_first(jobs: Iterable[Job]) -> list[Job]:
    """Jobs by the steps that are left of them; of equals, those that search a memory first, else as they come."""

    def work(job: Job) -> tuple[float, bool]:
        epochs = job.config.epochs - len(read_metrics(job.folder))
        return epochs * job.config.data["train"] / job.config.batch_size, job.config.settings.get("pool") == "memory"

    return sorted(jobs, key=work, reverse=True)
