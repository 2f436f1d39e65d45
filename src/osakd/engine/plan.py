"""The plan of a run: what is trained, on which images, how, and in which folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from osakd.data.arrays import DataArrays
from osakd.data.options import ImageOptions
from osakd.data.sources import load_data
from osakd.engine.config import Options, configure
from osakd.engine.environment import pick_device
from osakd.engine.executors.registry import AUTO, check_device, needs_cuda
from osakd.engine.folders import check_configuration
from osakd.engine.stages import previous_stage
from osakd.errors import InputError
from osakd.methods.lookup import given_method, method_label
from osakd.methods.registry import settings_of
from osakd.models.weights import weights_file
from osakd.paths import given_path
from osakd.records import TEACHER, RunConfig, default_folder, read_config, read_metrics

MethodName = str | Mapping[str, Any]
"""A method as ``osakd.train`` takes it: a name, a shorthand, or a mapping with name and settings."""

MOST_VIEWS = 8
"""A process keeps the images of at most so many seeds that hold out different ones for validation."""


class DataSource:
    """A data set that is loaded once in a process, and that plans share.

    Name and options are those of ``load_data``. Pickled, it is no more than these: another process loads the images
    itself, once for all plans.
    """

    def __init__(self, name: str, options: ImageOptions = ImageOptions()) -> None:
        self.name, self.options = name, options
        self._views: dict[tuple[float, float, int, int], DataArrays] = {}

    @cached_property
    def arrays(self) -> DataArrays:
        """Every image of the data set."""
        return load_data(self.name, self.options)

    def view(self, config: RunConfig) -> DataArrays:
        """The images as a run sees them, see ``DataArrays.view``; runs of one seed share them."""
        key = (config.fraction, config.validation, config.seed, config.data["input_shape"][0])
        if key not in self._views:
            if len(self._views) == MOST_VIEWS:
                del self._views[next(iter(self._views))]  # the oldest
            self._views[key] = self.arrays.view(config)
        return self._views[key]

    def __reduce__(self) -> tuple[Any, tuple[str, ImageOptions, str]]:
        folder = given_path(self.name)
        name = str(folder.absolute()) if folder.is_dir() else self.name  # the other process may be in another folder
        return _shared_source, (name, self.options, self.arrays.content)


@lru_cache(maxsize=1)
def _shared_source(name: str, options: ImageOptions, content: str) -> DataSource:  # noqa: ARG001 - other content is loaded anew
    return DataSource(name, options)


@dataclass(frozen=True)
class Plan:
    """One run to train.

    Attributes:
        device: name of the device to train on; None for the default.
        teacher: folder of the finished run that teaches, where the user names one.
        weights: file of the starting weights of the deployed network, where the user names one.
        trust: the teacher's network may be a function that its folder names, whose code runs.
    """

    label: str
    folder: Path
    config: RunConfig
    source: DataSource
    device: str | None = None
    executor: str = AUTO
    kernels: str = AUTO
    teacher: Path | None = None
    weights: Path | None = None
    trust: bool = False

    @property
    def data(self) -> DataArrays:
        """The images as the run sees them: its share, its validation split, its number of channels."""
        return self.source.view(self.config)

    @property
    def name(self) -> str:
        """The name of its folder; for an earlier stage after the run's name."""
        parts = [self.folder.name]
        for parent in self.folder.parents:
            if parts[0] != TEACHER:
                break
            parts.insert(0, parent.name)
        return "/".join(parts)

    def stages(self) -> list["Plan"]:
        """The plans of all stages of the run, the first stage first and this plan last."""
        stages = [self]
        while (earlier := previous_stage(stages[0].config)) is not None:
            stages.insert(
                0, replace(stages[0], config=earlier, folder=stages[0].folder / TEACHER, teacher=None, weights=None)
            )
        *before, _ = stages
        return [
            *(replace(stage, label=f"{self.label}, stage {number}") for number, stage in enumerate(before, start=1)),
            self,
        ]


def plan_run(
    source: DataSource,
    method: MethodName,
    seed: int,
    options: Options,
    folder: Path | None = None,
    *,
    label: str | None = None,
) -> Plan:
    """The plan of one run, by default in the folder ``runs/<data>-<model>-<method>-seed<seed>``.

    Raises:
        InputError: an unknown name or a value out of its range.
    """
    label = label or method_label(method)
    config = configure(source.arrays, method, seed, options)
    if folder is None:
        folder = default_folder(source.arrays.name, config.model, label, f"seed{config.seed}")
    teacher = given_path(given_method(method)[1].teacher) if settings_of(config).given_teacher() else None
    where = {"device": options.device, "executor": options.executor, "kernels": options.kernels}
    weights = None if options.weights is None else weights_file(options.weights)
    return Plan(label, folder, config, source, **where, teacher=teacher, weights=weights, trust=options.trust)


def plan_runs(
    source: DataSource,
    methods: Sequence[MethodName] | Mapping[str, MethodName],
    seeds: Sequence[int],
    options: Options,
    out: Path | None = None,
    *,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Plan]:
    """The plans of a comparison, seed by seed, each in the folder ``<label>-seed<seed>`` of ``out``.

    All runs of a seed start from the same weights and see the same batches. ``out`` is ``runs/<data>-<model>`` by
    default; ``changes`` has options that differ, by label.

    Raises:
        InputError: a value out of its range, a method or a seed given twice, a device that does not have the executor,
            or a folder with another configuration or runs of other images.
        RunError: the records of a run are damaged.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file: choose a folder with --out.")
    if not methods:
        raise InputError("Give at least one method.")
    by_label = methods if isinstance(methods, Mapping) else _labelled(methods)
    seed = _repeated(seeds)
    if seed is not None:
        raise InputError(f"Seed {seed} is given twice: each run needs its own.")
    if needs_cuda(options.executor, options.precision):
        check_device(options.executor, options.precision, pick_device(options.device).type)
    first = configure(source.arrays, next(iter(by_label.values())), seeds[0], options)
    out = out or default_folder(source.arrays.name, first.model)
    plans = []
    for seed in seeds:
        for label, method in by_label.items():
            of_method = replace(options, **(changes or {}).get(label, {}))
            plans.append(plan_run(source, method, seed, of_method, out / f"{label}-seed{seed}", label=label))
    for plan in plans:
        check_configuration(plan.folder, plan.config)
        read_metrics(plan.folder)  # a damaged curve is reported before anything runs
    check_images(plans, out)
    return plans


def check_images(plans: Sequence[Plan], folder: Path) -> None:
    """Checks that a folder has no runs of other images, whose means would be taken together; else an InputError."""
    contents = {plan.config.data["content"] for plan in plans}
    for run in sorted(folder.glob("*-seed*")):
        config = read_config(run)
        if contents and config is not None and config.data["content"] not in contents:
            raise InputError(
                f"{str(run)!r} is of other images (content {config.data['content'][:8]}, not {min(contents)[:8]}): "
                "choose another folder with --out."
            )


def _labelled(methods: Sequence[MethodName]) -> dict[str, MethodName]:
    labels = [method_label(method) for method in methods]
    label = _repeated(labels)
    if label is not None:
        raise InputError(f"Method {label!r} is given twice, or two would share the folder of that name.")
    return dict(zip(labels, methods, strict=True))


def _repeated(values: Sequence[Any]) -> Any:
    """The first value that occurs twice; None without one."""
    return next((value for number, value in enumerate(values) if value in values[:number]), None)
