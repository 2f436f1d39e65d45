"""A comparison of methods: every method with every seed, from the same start and with the same batches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.data.sources import load_data
from osakd.engine.config import Options, can_continue, configure, reading_of
from osakd.errors import InputError
from osakd.methods.lookup import method_label
from osakd.records import default_folder, read_config, read_metrics
from osakd.runner.jobs import Job

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays


def plan_comparison(
    data: str, methods: Sequence[str | Mapping[str, Any]], seeds: Sequence[int], options: Options, out: Path | None
) -> tuple[Path, list[Job]]:
    """The folder of a comparison, ``runs/<data>-<model>`` by default, and its runs, seed by seed.

    Raises:
        InputError: a value out of its range, a method given twice, or a folder that holds another configuration or
            runs of other images.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file: choose a folder with --out.")
    labels = [method_label(method) for method in methods]
    repeated = next((label for label in labels if labels.count(label) > 1), None)
    if repeated or not labels:
        twice = f"Method {repeated!r} is given twice, or two would share the folder of that name."
        raise InputError(twice if repeated else "Give at least one method.")
    twice = next((seed for seed in seeds if list(seeds).count(seed) > 1), None)
    if twice is not None:
        raise InputError(f"Seed {twice} is given twice: each run needs its own.")
    arrays = load_data(data, reading_of(options))
    out = out or default_folder(arrays.name, configure(arrays, methods[0], seeds[0], options).model)
    jobs = [
        plan_run(arrays, data, label, method, seed, options, out)
        for seed in seeds
        for label, method in zip(labels, methods, strict=True)
    ]
    check_images(jobs, out)
    return out, jobs


def check_images(jobs: Sequence[Job], folder: Path) -> None:
    """Refuses runs beside those of other images: their means would be taken together.

    Args:
        jobs: to run; none goes with everything.
        folder: of them all.

    Raises:
        InputError: a run there has seen other images.
    """
    ours = {job.config.data["content"] for job in jobs}
    for run in sorted(folder.glob("*-seed*")):
        found = read_config(run)
        if jobs and found is not None and found.data["content"] not in ours:
            raise InputError(
                f"{str(run)!r} is of other images (content {found.data['content'][:8]}, not {min(ours)[:8]}): choose "
                "another folder with --out."
            )


def plan_run(
    arrays: "DataArrays",
    data: str,
    label: str,
    method: str | Mapping[str, Any],
    seed: int,
    options: Options,
    out: Path,
) -> Job:
    """One run of a comparison, in the folder ``<label>-seed<seed>`` of ``out``.

    Raises:
        InputError: a value out of its range, or a folder that holds another configuration.
    """
    config = configure(arrays, method, seed, options)
    folder = out / f"{label}-seed{seed}"
    found = read_config(folder)
    if found is not None and not can_continue(found, config):
        raise InputError(
            f"{str(folder)!r} holds a run of another configuration ({'; '.join(found.differences(config))}): "
            "choose another folder with --out."
        )
    read_metrics(folder)  # a damaged one is named before anything runs
    return Job(label, data, method, config, folder, options.device, options.executor)
