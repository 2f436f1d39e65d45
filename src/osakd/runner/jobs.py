"""What is to be run: jobs, and the programs that they may share."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from osakd.engine.config import ExecutorName
from osakd.engine.stages import stages
from osakd.errors import InputError, RunError
from osakd.methods.registry import settings_of
from osakd.records import TEACHER, RunConfig, read_metrics


@dataclass(frozen=True)
class Job:
    """One run to make.

    Attributes:
        label: of its method, for people.
        data: as ``load_data`` takes it.
        method: as the user gave it.
        config: its complete configuration.
        folder: where it is recorded.
        device: to run on, None for the default.
        executor: as the user asked.
    """

    label: str
    data: str
    method: str | Mapping[str, Any]
    config: RunConfig
    folder: Path
    device: str | None
    executor: ExecutorName = "auto"

    @property
    def name(self) -> str:
        """Of its folder; that of an earlier stage has the run's name in front."""
        parts = [self.folder.name]
        for parent in self.folder.parents:
            if parts[0] != TEACHER:
                break
            parts.insert(0, parent.name)
        return "/".join(parts)


Program = tuple[Job, ...]
Errors = dict[Path, InputError | RunError]


def with_stages(job: Job) -> list[Job]:
    """The jobs of the stages before a job, the first one first, and the job itself."""
    *earlier, _ = stages(job.config, job.folder)
    names = [f"{job.label}, stage {number}" for number in range(1, len(earlier) + 1)]
    before = zip(names, earlier, strict=True)
    return [*(replace(job, label=name, config=config, folder=folder) for name, (config, folder) in before), job]


def programs_of(jobs: Sequence[Job]) -> list[Program]:
    """Jobs that may share a program: all but seed and method are equal, and every seed has the same methods.

    A method that trains several networks has a program of its own.
    """
    by_seed: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        shared = {k: v for k, v in asdict(job.config).items() if k not in ("method", "settings", "seed")}
        shared["data"] = {k: v for k, v in shared["data"].items() if k != "class_counts"}
        kind = "" if settings_of(job.config).single_network else job.label
        key = json.dumps([shared, job.data, job.device, kind], sort_keys=True)
        by_seed.setdefault((key, job.config.seed), []).append(job)
    alike: dict[tuple[str, tuple[str, ...]], list[Job]] = {}
    for (key, _), group in by_seed.items():
        group = sorted(group, key=lambda job: job.label)
        alike.setdefault((key, tuple(job.label for job in group)), []).extend(group)
    return [tuple(group) for group in alike.values() if len(group) > 1]


def everywhere(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with absolute paths: a worker of a cluster may have been started in another folder."""
    return [
        replace(
            job,
            folder=job.folder.absolute(),
            data=str(Path(job.data).absolute()) if Path(job.data).is_dir() else job.data,
        )
        for job in jobs
    ]


def longest_first(jobs: Iterable[Job]) -> list[Job]:
    """Jobs by the steps that are left of them; of equals, those that search a memory first, else as they come."""

    def work(job: Job) -> tuple[float, bool]:
        epochs = job.config.epochs - len(read_metrics(job.folder))
        return epochs * job.config.data["train"] / job.config.batch_size, job.config.settings.get("pool") == "memory"

    return sorted(jobs, key=work, reverse=True)
