"""Plans a comparison: every method with every seed, from the same initial weights and with the same batches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.data.sources import load_data
from osakd.engine.config import Options, can_continue, configure, reading_of, recorded_config
from osakd.errors import InputError
from osakd.methods.lookup import method_label
from osakd.records import default_folder, read_config, read_metrics
from osakd.runner.jobs import Job

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays


def plan_comparison(
    data: str, methods: Sequence[str | Mapping[str, Any]], seeds: Sequence[int], options: Options, out: Path | None
) -> tuple[Path, list[Job]]:
    """Plans the runs of a comparison, seed by seed, and names its folder, by default ``runs/<data>-<model>``.

    Raises:
        InputError: a value out of its range, a method given twice, or a folder with another configuration or runs of
            other images.
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
    """Checks that a folder has no runs of other images, since their means would be taken together.

    Args:
        jobs: the jobs to run.
        folder: their folder.

    Raises:
        InputError: a run in the folder was trained on other images.
    """
    ours = {job.config.data["content"] for job in jobs}
    for run in sorted(folder.glob("*-seed*")):
        config = read_config(run)
        if jobs and config is not None and config.data["content"] not in ours:
            raise InputError(
                f"{str(run)!r} is of other images (content {config.data['content'][:8]}, not {min(ours)[:8]}): choose "
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
    """Plans one run of a comparison, in the folder ``<label>-seed<seed>`` of ``out``.

    Raises:
        InputError: a value out of its range, or a folder with another configuration.
    """
    config = configure(arrays, method, seed, options)
    folder = out / f"{label}-seed{seed}"
    recorded = recorded_config(folder)
    if recorded is not None and not can_continue(recorded, config):
        raise InputError(
            f"{str(folder)!r} has a run of another configuration ({'; '.join(recorded.differences(config))}): "
            "choose another folder with --out."
        )
    read_metrics(folder)  # a damaged curve is reported before anything runs
    return Job(label, data, method, config, folder, options.device, options.executor, options.kernels)
