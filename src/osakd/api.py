"""The commands as Python functions, with the same names and defaults. Torch is imported when one is called."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.errors import InputError, RunError
from osakd.records import SUMMARY, Result, RunConfig, default_folder, write_json

if TYPE_CHECKING:
    from torch import nn

    from osakd.engine.loop import Watcher
    from osakd.experiments.runner import Progress
    from osakd.report.aggregate import Summary

DEFAULT_METHODS = ("plain", "osakd-8nn", "osakd-16nn", "label-smoothing")
DEFAULT_SEEDS = 5


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it is recorded.
        config: its complete configuration.
        result: how it ended.
    """

    folder: Path
    config: RunConfig
    result: Result


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Attributes:
        folder: with its runs, ``summary.json``, ``curves.svg`` and ``curves.png``.
        summary: every value, means, standard deviations, paired differences to plain training.
    """

    folder: Path
    summary: "Summary"

    def table(self) -> str:
        """The table as Markdown."""
        from osakd.report.tables import markdown

        return markdown(self.summary)


def train(
    data: str = "digits",
    *,
    method: str | Mapping[str, Any] = "plain",
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    watcher: "Watcher | None" = None,
    **options: Any,
) -> Run:
    """Trains one network with one method.

    Args:
        data: a name (``digits``, ``cifar10``, ...), a local folder, or a hub id.
        method: a name, a shorthand such as ``osakd-16nn``, or a mapping with ``name`` and settings.
        seed: of every random stream, at least 0.
        out: the run's folder; by default ``runs/<data>-<model>-<method>-seed<seed>``.
        resume: go on with a run that was stopped.
        watcher: is told of every step and epoch.
        **options: model, epochs, batch_size, learning_rate, ...: see ``osakd.engine.config.Options``.

    Returns:
        The run; ``osakd.load(run.folder)`` gives the network.

    Raises:
        InputError: something given cannot be used.
        RunError: the run failed.

    Example:
        >>> import tempfile
        >>> run = train("digits", method="osakd", epochs=2, out=tempfile.mkdtemp())
        >>> run.result.last["epoch"]
        2
    """
    from osakd.data.sources import load_data
    from osakd.engine.config import configure, options_of, run_view
    from osakd.engine.environment import pick_device
    from osakd.engine.folders import check_folder
    from osakd.engine.loop import Silent
    from osakd.engine.stages import adopt
    from osakd.engine.train import train_run
    from osakd.methods.lookup import method_label

    chosen = options_of(options)
    arrays = load_data(data)
    config = configure(arrays, method, seed, chosen)
    default = default_folder(arrays.name, config.model, method_label(method), f"seed{seed}")
    folder = default if out is None else Path(out).expanduser()
    view = run_view(arrays, config.model, config.validation, seed, config.fraction)
    check_folder(folder, config, resume)
    adopt(method, config, folder)
    result = train_run(
        config,
        view,
        folder,
        resume=resume,
        device=pick_device(chosen.device),
        watcher=watcher or Silent(),
        executor=chosen.executor,
    )
    return Run(folder, config, result)


def compare(
    data: str = "digits",
    *,
    methods: Sequence[str | Mapping[str, Any]] = DEFAULT_METHODS,
    seeds: int | Sequence[int] = DEFAULT_SEEDS,
    out: str | Path | None = None,
    processes: int | None = None,
    look: "Callable[[list[Progress]], None] | None" = None,
    **options: Any,
) -> Comparison:
    """Compares methods over seeds; runs that are recorded already are not run again.

    Call it under ``if __name__ == "__main__":``, as everything that starts processes.

    Args:
        data: as for ``train``.
        methods: as ``method`` of ``train``.
        seeds: how many (0, 1, ...), or which.
        out: folder of the comparison; by default ``runs/<data>-<model>``.
        processes: cores to use: as threads of a fused program, or as processes; by default all.
        look: is given the progress of every run four times a second.
        **options: as for ``train``.

    Returns:
        The comparison; its summary is also written to ``summary.json``, with ``curves.svg`` and ``curves.png``.

    Raises:
        InputError: something given cannot be used.
        RunError: a run failed; the others are finished and recorded.
    """
    from osakd.engine.config import options_of
    from osakd.engine.environment import check_device, pick_device
    from osakd.engine.stages import adopt
    from osakd.experiments.compare import plan_comparison
    from osakd.experiments.runner import run_jobs
    from osakd.report.aggregate import summarise
    from osakd.report.curves import write_curves

    chosen = options_of(options)
    processes = _cores() if processes is None else processes
    for option, value in (("processes", processes), ("seeds", 1 if isinstance(seeds, Iterable) else seeds)):
        if not isinstance(value, int):
            raise InputError(f"`{option}` must be a whole number, got {value!r}.")
    numbers = list(seeds) if isinstance(seeds, Iterable) else list(range(seeds))
    for option, count in (("processes", processes), ("seeds", len(numbers))):
        if count < 1:
            raise InputError(f"`{option}` must be at least 1, got {count}.")
    if chosen.executor == "graphed" or chosen.precision == "tf32":
        check_device(chosen.executor, chosen.precision, pick_device(chosen.device))
    named = [methods] if isinstance(methods, str | Mapping) else list(methods)
    folder, jobs = plan_comparison(data, named, numbers, chosen, None if out is None else Path(out).expanduser())
    for job in jobs:
        adopt(job.method, job.config, job.folder)
    errors = run_jobs(jobs, processes=processes, look=look or (lambda _: None))
    if len(errors) == len(jobs):
        raise next(iter(errors.values()))
    summary = summarise(folder.name, [(job.label, job.folder) for job in jobs])
    write_json(folder / SUMMARY, summary.to_dict())
    write_curves(summary, folder)
    if errors:
        where, why = next(iter(errors.items()))
        raise RunError(
            f"{len(errors)} of {len(jobs)} runs failed, {where.name} among them; the others are in "
            f"{str(folder / SUMMARY)!r}: {why}"
        )
    return Comparison(folder, summary)


def reproduce(
    name: str = "table1",
    *,
    data: Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    out: str | Path = "records",
    dry_run: bool = False,
    processes: int | None = None,
    look: "Callable[[list[Progress]], None] | None" = None,
    **options: Any,
) -> str:
    """Runs what is missing of a table of the paper, and shows ours beside theirs.

    Args:
        name: ``table1``.
        data: only these columns: names of data sets, or local folders called like them.
        seeds: how many, or which; by default the paper's 5.
        epochs: of each run; by default the paper's.
        out: folder of the records; a run lies in ``<out>/<name>/<data>/<method>-seed<seed>``.
        dry_run: only show what is recorded.
        processes: as for ``compare``.
        look: as for ``compare``.
        **options: ``device`` and ``executor``, as for ``train``.

    Returns:
        A table for each column as Markdown, with what is missing and what failed.

    Raises:
        InputError: something given cannot be used.
    """
    from osakd.experiments.reproduce import columns_of, find_experiment, plan_column, recorded
    from osakd.experiments.runner import run_jobs
    from osakd.report.verdicts import column_text

    experiment = find_experiment(name)
    numbers = range(experiment.seeds) if seeds is None else range(seeds) if isinstance(seeds, int) else seeds
    columns = [(column, given, Path(out) / name / column.data) for column, given in columns_of(experiment, data)]
    failed: list[str] = []
    if not dry_run:
        where = {key: value for key, value in options.items() if value is not None}
        jobs = [
            job
            for column, given, folder in columns
            for job in plan_column(column, given, list(numbers), folder, epochs=epochs, **where)
        ]
        errors = run_jobs(jobs, processes=processes or _cores(), look=look or (lambda _: None))
        failed = [f"Failed: {folder.name}: {error}" for folder, error in errors.items()]
    texts = [
        column_text(
            column.data,
            column.methods,
            recorded(column, folder),
            {label: (one.mean, one.std) for label, one in column.published.items()},
            wanted=(experiment.seeds, column.epochs),
        )
        for column, _, folder in columns
    ]
    return "\n\n".join([f"# {experiment.title}", *texts, *failed])


def evaluate(run: str | Path, *, data: str | None = None, device: str | None = None) -> dict[str, float]:
    """The scores of a finished run's network on a test set.

    Args:
        run: the run's folder.
        data: as for ``train``; by default what the run was trained on, if that is known by name.
        device: cpu, cuda or cuda:N.

    Returns:
        ``accuracy`` and ``ece`` in 0 to 1, ``nll`` in nats; ``top5`` from 100 classes on.

    Raises:
        InputError: not a finished run, or data that its network cannot take.
    """
    from osakd.data.sources import load_data
    from osakd.engine.environment import pick_device
    from osakd.engine.evaluate import evaluate_on
    from osakd.engine.state import load_student
    from osakd.records import read_config

    network = load_student(run)
    config = read_config(Path(run))
    if data is None and config is not None:
        if config.data["kind"] == "folder":
            raise InputError(
                f"The run was trained on a local folder called {config.data['name']!r}: name it with --data."
            )
        data = config.data["name"]
    return evaluate_on(network, load_data(str(data)), pick_device(device))


def load(run: str | Path) -> "nn.Module":
    """The deployed network of a finished run, in eval mode, with its ``class_names``.

    It takes float images in [0, 1], ``[n, channels, h, w]``, and gives logits.

    Args:
        run: the run's folder.

    Raises:
        InputError: not a run folder, or a run that has not finished.
    """
    from osakd.engine.state import load_student

    return load_student(run)


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
