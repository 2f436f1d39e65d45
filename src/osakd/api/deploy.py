"""From a trained network to a device: export and latency."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from osakd.api.arguments import at_least_one, data_or_recorded
from osakd.errors import InputError, unknown_name
from osakd.paths import given_path
from osakd.records import Result, RunConfig

if TYPE_CHECKING:
    from torch import nn

    from osakd.data.in_memory import Data
    from osakd.deploy.export import Export
    from osakd.deploy.table import Latencies


def export(
    run: str | Path,
    to: str | Path,
    *,
    int8: bool = False,
    calibrate: int = 512,
    input: Literal["float", "uint8"] = "float",  # noqa: A002 - as the option of the command
    data: "Data | None" = None,
    license: str | None = None,  # noqa: A002 - as above
) -> "Export":
    """Exports the network of a finished run, once it is proved on the test images to compute what PyTorch computes.

    Normalisation is inside the file. A float file must agree on every predicted class, and on logits to 1e-4; an int8
    file may lose one point of accuracy. Otherwise nothing is written.

    Args:
        run: folder of the run.
        to: file to write; its ending is the format: .onnx, .pte (ExecuTorch) or .pt2 (torch.export).
        int8: quantise weights and activations to int8, for .onnx and .pte.
        calibrate: number of training images that the ranges of int8 activations are measured on, at least 1.
        input: values of the images that the file takes, [n, channels, h, w]: float in [0, 1], or uint8.
        data: data of the proof, as for train; by default those that the run was trained on, if known by name.
        license: licence of the network, such as apache-2.0, which the file then states.

    Returns:
        Its ``path``, ``bytes``, what it says about itself, and the ``proof``.

    Raises:
        InputError: not a finished run, data that do not fit, a path that cannot be written, or a missing extra.
        RunError: the file failed its proof; nothing was written.
    """
    from osakd.data.reading import recorded_reading
    from osakd.data.sources import load_data, load_test
    from osakd.deploy.export import check_target, export_network
    from osakd.engine.state import load_student
    from osakd.records import read_config, read_result

    folder, path = given_path(run), given_path(to)
    if input not in ("float", "uint8"):
        raise unknown_name("input", input, ("float", "uint8"))
    at_least_one("calibrate", calibrate)
    check_target(path, int8=int8)
    if folder.is_file():
        raise InputError(f"{str(folder)!r} is a file: give the folder of a run.")
    network = load_student(folder)
    # Both are there: the network could be loaded.
    config, result = cast(RunConfig, read_config(folder)), cast(Result, read_result(folder))
    name = data_or_recorded(data, config.data["name"], config.data["kind"], split="test")
    reading = recorded_reading(config.data)
    arrays = load_data(name, reading) if int8 else load_test(name, reading, trained_on=config.data["content"])
    return export_network(
        cast("nn.Sequential", network),
        config,
        result,
        arrays,
        path,
        int8=int8,
        calibrate=calibrate,
        kind=input,
        license_name=license,
    )


def latency(models: Sequence[str | Path], *, calls: int = 1000, record: str | Path | None = None) -> "Latencies":
    """Measures trained networks and exported files side by side, with one image at a time on one thread.

    Args:
        models: run folders and exported files.
        calls: number of timed calls of each model, at least 1.
        record: JSON file to write the measurements to, which osakd latency prints again.

    Returns:
        ``rows``, one for each: accuracy, bytes, parameters, MACs, CPU time, memory; and where they were measured.

    Raises:
        InputError: one of them is neither a finished run nor an exported file that can be loaded, or the record cannot
            be written.
    """
    from osakd.deploy.latency import machine, measure
    from osakd.deploy.table import Latencies, write_latencies
    from osakd.deploy.target import check_file

    at_least_one("calls", calls)
    paths = [given_path(model) for model in models]
    at_least_one("models", len(paths))
    target = given_path(record) if record is not None else None
    if target is not None:
        check_file(target)
    found = Latencies(measure(paths, calls=calls), calls, machine())
    if target is not None:
        write_latencies(target, found)
    return found
