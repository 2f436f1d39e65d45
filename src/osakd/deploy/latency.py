"""What trained networks and exported files cost where they run: time of an image, memory, size; its text and record."""

import logging
import platform
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from osakd.deploy.exported import ExportedNetwork, as_input, format_of, load_exported
from osakd.deploy.memory import added_memory
from osakd.durable import write_json
from osakd.engine.evaluate import to_floats
from osakd.engine.state import TrainedRun, load_run
from osakd.errors import InputError
from osakd.models.cost import count_macs, count_parameters
from osakd.read_json import read_json
from osakd.records import STUDENT
from osakd.report.tables.table import Column, Table, markdown

_BLOCK = 20
"""Calls of a model before the next one has its turn; one more before them is not counted."""
_LIBRARIES = ("torch", "onnxruntime", "executorch")
_WIDTH = 80


@dataclass(frozen=True)
class Latency:
    """What a network or a file costs.

    Attributes:
        median_us: median CPU time of a call with one image on one thread, in microseconds.
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


def _name(row: Latency) -> str:
    """Its name, and its type of numbers where the name does not say it."""
    return row.name if row.numbers == "float32" or row.numbers in row.name else f"{row.name} ({row.numbers})"


_NETWORKS = (
    Column[Latency]("network", lambda row: row.network, is_text=True),
    Column[Latency]("data", lambda row: row.data, is_text=True),
    Column[Latency]("parameters", lambda row: f"{row.parameters:,}"),
    Column[Latency]("MACs", lambda row: f"{row.macs / 1e6:.2f} M"),
)
_COSTS = (
    Column[Latency]("model", _name, is_text=True),
    Column[Latency]("accuracy", lambda row: f"{100 * row.accuracy:.2f} %"),
    Column[Latency]("kB", lambda row: f"{row.bytes / 1000:,.1f}"),
    Column[Latency]("median us", lambda row: f"{row.median_us:,.0f}"),
    Column[Latency]("p95 us", lambda row: f"{row.p95_us:,.0f}"),
    Column[Latency]("MiB", lambda row: "-" if row.memory_mib is None else f"{row.memory_mib:.1f}"),
)


class Latencies(NamedTuple):
    """What was measured, the number of timed calls of each, and where."""

    rows: Sequence[Latency]
    calls: int
    machine: Mapping[str, str]


def measure(paths: Sequence[Path], *, calls: int, trust: bool) -> list[Latency]:
    """Measures run folders and exported files in turns, so many calls each; an InputError if one cannot be loaded."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        logging.getLogger("osakd").info("Timing %d calls of each of %d networks", calls, len(paths))
        models = [load_exported(path) if path.is_file() else load_run(path, trust=trust) for path in paths]
        times = _take_turns([_call(model) for model in models], calls)
    finally:
        torch.set_num_threads(threads)
    return [_row(*measured) for measured in zip(paths, models, times, strict=True)]


def machine() -> dict[str, str]:
    """Where latencies were measured: processor, system, versions; no host or user name."""
    properties = {"processor": _processor(), "system": f"{platform.system()} {platform.machine()}"}
    for library in _LIBRARIES:
        try:
            properties[library] = version(library)
        except PackageNotFoundError:
            continue
    return properties


def latency_text(latencies: Latencies) -> str:
    """Two Markdown tables of at most 80 columns, one of the networks and one of what each file costs, and a note."""
    properties = latencies.machine.items()
    where = ", ".join(value if key in ("processor", "system") else f"{key} {value}" for key, value in properties)
    note = (
        f"us: median and 95th percentile of {latencies.calls:,} calls with one image, in microseconds of CPU time, one "
        "thread, models in turns. kB: 1,000 bytes of the file. MiB: memory that the model adds to a process with the "
        f"runtime imported. Accuracy: on all test images, as recorded. Machine: {where}."
    )
    networks = {(row.network, row.data, row.parameters, row.macs): row for row in latencies.rows}
    tables = [Table("Networks", _NETWORKS, list(networks.values())), Table("Latency", _COSTS, latencies.rows)]
    return "\n\n".join([*(markdown(table, aligned=True) for table in tables), textwrap.fill(note, _WIDTH)])


def write_latencies(path: Path, latencies: Latencies) -> None:
    """Writes a record; an InputError where the parent folder does not exist."""
    rows = [asdict(row) for row in latencies.rows]
    write_json(path, {"calls": latencies.calls, "machine": dict(latencies.machine), "rows": rows})


def read_latencies(path: Path) -> Latencies:
    """Reads a record."""
    values = read_json(path)
    if values is None:
        raise InputError(f"The record {str(path)!r} does not exist: check the path.")
    try:
        return Latencies([Latency(**row) for row in values["rows"]], values["calls"], values["machine"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{str(path)!r} is not a record of `osakd latency`: give the file that --record wrote."
        ) from error


@torch.inference_mode()
def _take_turns(calls: Sequence[Callable[[], Tensor]], count: int) -> list[list[float]]:
    """The CPU times of every call, all threads of this process together, in microseconds."""
    times: list[list[float]] = [[] for _ in calls]
    while len(times[0]) < count:
        for call, its_times in zip(calls, times, strict=True):
            call()
            for _ in range(min(_BLOCK, count - len(its_times))):
                start = time.process_time_ns()
                call()
                its_times.append((time.process_time_ns() - start) / 1e3)
    return times


def _call(model: ExportedNetwork | TrainedRun) -> Callable[[], Tensor]:
    """A call with one image, which is prepared before."""
    if isinstance(model, TrainedRun):
        network, images = model.network, _black_image(model.network.input_shape)
        return lambda: network(images)
    runtime, pixels = model.runtime, as_input(_black_image(model.input_shape), model.metadata.input)
    return lambda: runtime(pixels)


def _black_image(input_shape: tuple[int, int, int]) -> Tensor:
    """One float image of zeros, in the memory layout of evaluation."""
    channels, height, width = input_shape
    return to_floats(torch.zeros(1, height, width, channels, dtype=torch.uint8))


def _row(path: Path, model: ExportedNetwork | TrainedRun, times: Sequence[float]) -> Latency:
    if isinstance(model, ExportedNetwork):
        known, (runtime, numbers, file) = model.metadata, (format_of(path).TITLE, model.metadata.number_format, path)
        names = ("data", "data_content", "commit", "accuracy", "parameters", "macs")
        values = {"network": known.model, **{name: getattr(known, name) for name in names}}
    else:
        network, config, result = model
        runtime, numbers, file = "PyTorch", "float32", path / STUDENT
        values = {
            "network": config.model,
            "data": config.data["name"],
            "data_content": config.data["content"],
            "commit": result.environment.get("commit"),
            "accuracy": result.deployed_scores()["accuracy"],
            "parameters": count_parameters(network),
            "macs": count_macs(network, _black_image(network.input_shape)),
        }
    median, p95 = np.percentile(times, [50, 95]).tolist()
    memory = added_memory(path)  # of what was loaded here, with trust if that was needed
    return Latency(
        name=path.resolve().name,
        runtime=runtime,
        numbers=numbers,
        bytes=file.stat().st_size,
        median_us=round(median, 1),
        p95_us=round(p95, 1),
        memory_mib=None if memory is None else round(memory, 1),
        **values,
    )


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
