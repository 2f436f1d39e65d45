"""What trained networks and exported files cost where they run: the time of one image, memory, size."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from osakd.deploy.exported import ExportedNetwork, as_input
from osakd.deploy.formats import format_of
from osakd.deploy.memory import added_memory
from osakd.deploy.models import load_model
from osakd.deploy.predict import Predictor, black_images
from osakd.models.cost import count_macs, count_parameters
from osakd.records import STUDENT, Result, RunConfig, read_config, read_result

_BLOCK = 20
"""Calls of a model before the next one has its turn; one more before them is not counted."""
_LIBRARIES = ("torch", "onnxruntime", "executorch")


@dataclass(frozen=True)
class Latency:
    """What a network or a file costs.

    Attributes:
        name: name of the file or of the run folder.
        network: name of the network.
        data: data set of its accuracy.
        data_content: hash of that data's images and classes.
        commit: commit of osakd that trained the network, if known.
        runtime: what computes it.
        numbers: ``float32`` or ``int8``.
        accuracy: recorded accuracy on the test images, 0 to 1.
        bytes: size of the file.
        parameters: number of parameters.
        macs: multiply-accumulates for each image.
        median_us: median CPU time of a call with one image on one thread, in microseconds.
        p95_us: its 95th percentile.
        memory_mib: memory that it adds to a process, in MiB, see ``added_memory``.
    """

    name: str
    network: str
    data: str
    data_content: str
    commit: str | None
    runtime: str
    numbers: str
    accuracy: float
    bytes: int
    parameters: int
    macs: int
    median_us: float
    p95_us: float
    memory_mib: float | None


def measure(paths: Sequence[Path], *, calls: int) -> list[Latency]:
    """Measures run folders and exported files side by side: they take turns, so that all see the same machine.

    Args:
        paths: run folders and exported files.
        calls: number of timed calls of each.

    Raises:
        InputError: one of them cannot be loaded.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        models = [load_model(path) for path in paths]
        times = _take_turns([_call(model) for model in models], calls)
    finally:
        torch.set_num_threads(threads)
    return [_row(path, model, time) for path, model, time in zip(paths, models, times, strict=True)]


def machine() -> dict[str, str]:
    """Where latencies were measured: processor, system, versions; no host or user name."""
    found = {"processor": _processor(), "system": f"{platform.system()} {platform.machine()}"}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _call(model: Predictor) -> Callable[[], Tensor]:
    """A call with one image, which is prepared before."""
    images = black_images(1, model.input_shape)
    if isinstance(model, ExportedNetwork):
        runtime, given = model.runtime, as_input(images, model.about.input)
        return lambda: runtime(given)
    return lambda: model(images)


@torch.inference_mode()
def _take_turns(calls: Sequence[Callable[[], Tensor]], count: int) -> list[list[float]]:
    """The CPU times of every call, all threads of this process together, in microseconds."""
    times: list[list[float]] = [[] for _ in calls]
    while len(times[0]) < count:
        for call, found in zip(calls, times, strict=True):
            call()
            for _ in range(min(_BLOCK, count - len(found))):
                start = time.process_time_ns()
                call()
                found.append((time.process_time_ns() - start) / 1e3)
    return times


def _row(path: Path, model: Predictor, times: Sequence[float]) -> Latency:
    if isinstance(model, ExportedNetwork):
        about, file = model.about, path
        runtime, numbers, accuracy = format_of(path).title, about.number_format, about.accuracy
        network, data, content, commit = about.model, about.data, about.data_content, about.commit
        parameters, macs = about.parameters, about.macs
    else:
        # Both are there: the network could be loaded.
        config, result = cast(RunConfig, read_config(path)), cast(Result, read_result(path))
        file, runtime, numbers = path / STUDENT, "PyTorch", "float32"
        network, data, content = config.model, config.data["name"], config.data["content"]
        accuracy, commit = result.last["test"]["accuracy"], result.environment.get("commit")
        parameters, macs = count_parameters(model), count_macs(model, black_images(1, model.input_shape))
    median, p95 = np.percentile(times, [50, 95]).tolist()
    memory = added_memory(path)
    return Latency(
        name=path.resolve().name,
        network=network,
        data=data,
        data_content=content,
        commit=commit,
        runtime=runtime,
        numbers=numbers,
        accuracy=accuracy,
        bytes=file.stat().st_size,
        parameters=parameters,
        macs=macs,
        median_us=round(median, 1),
        p95_us=round(p95, 1),
        memory_mib=None if memory is None else round(memory, 1),
    )


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names: list[Any] = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
