"""Jobs: the runs to train, and the programs that they may share."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from osakd.engine.executors.registry import AUTO, ExecutorName, KernelsName
from osakd.engine.stages import stages
from osakd.errors import InputError, RunError
from osakd.methods.registry import settings_of
from osakd.paths import given_path
from osakd.records import TEACHER, RunConfig, read_metrics


@dataclass(frozen=True)
class Job:
    """One run to train.

    Attributes:
        label: label of its method.
        data: the data set as ``load_data`` takes it.
        method: the method as the user gave it.
        config: the complete configuration.
        folder: the run's folder.
        device: device to train on; None for the default.
        executor: the executor that the user asked for.
        kernels: what the user asked to compute small networks with.
    """

    label: str
    data: str
    method: str | Mapping[str, Any]
    config: RunConfig
    folder: Path
    device: str | None
    executor: ExecutorName = AUTO
    kernels: KernelsName = AUTO

    @property
    def name(self) -> str:
        """The name of its folder; for an earlier stage after the run's name."""
        parts = [self.folder.name]
        for parent in self.folder.parents:
            if parts[0] != TEACHER:
                break
            parts.insert(0, parent.name)
        return "/".join(parts)


Program = tuple[Job, ...]
Errors = dict[Path, InputError | RunError]


def with_stages(job: Job) -> list[Job]:
    """The jobs of all stages of a job, the first stage first."""
    *earlier, _ = stages(job.config, job.folder)
    names = [f"{job.label}, stage {number}" for number in range(1, len(earlier) + 1)]
    before = zip(names, earlier, strict=True)
    return [*(replace(job, label=name, config=config, folder=folder) for name, (config, folder) in before), job]


def programs_of(jobs: Sequence[Job]) -> list[Program]:
    """Groups jobs that may share a program: only seed and method differ, and every seed has the same methods.

    Methods that train several networks do not share a program with other methods.
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


def with_absolute_paths(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with absolute paths: a worker of a cluster may have been started in another folder."""
    return [
        replace(
            job,
            folder=job.folder.absolute(),
            data=str(given_path(job.data).absolute()) if given_path(job.data).is_dir() else job.data,
        )
        for job in jobs
    ]


def longest_first(jobs: Iterable[Job]) -> list[Job]:
    """Sorts jobs by the number of steps left; of equals, those that search a memory come first, else in given order."""

    def work(job: Job) -> tuple[float, bool]:
        epochs = job.config.epochs - len(read_metrics(job.folder))
        return epochs * job.config.data["train"] / job.config.batch_size, settings_of(job.config).searches_memory()

    return sorted(jobs, key=work, reverse=True)
