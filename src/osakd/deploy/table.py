"""Latencies as a record, and as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from osakd.deploy.latency import Latency
from osakd.durable import write_json
from osakd.errors import InputError
from osakd.read_json import read_json
from osakd.report.tables.table import Column, Table


class Latencies(NamedTuple):
    """What was measured, the number of timed calls of each, and where."""

    rows: Sequence[Latency]
    calls: int
    machine: Mapping[str, str]


_COLUMNS = (
    Column[Latency]("model", lambda row: row.name, is_text=True),
    Column[Latency]("data", lambda row: row.data, is_text=True),
    Column[Latency]("runtime", lambda row: row.runtime, is_text=True),
    Column[Latency]("numbers", lambda row: row.numbers, is_text=True),
    Column[Latency]("accuracy", lambda row: f"{100 * row.accuracy:.2f} %"),
    Column[Latency]("bytes", lambda row: f"{row.bytes:,}"),
    Column[Latency]("parameters", lambda row: f"{row.parameters:,}"),
    Column[Latency]("MACs", lambda row: f"{row.macs / 1e6:.2f} M"),
    Column[Latency]("median", lambda row: f"{row.median_us:,.0f} us"),
    Column[Latency]("p95", lambda row: f"{row.p95_us:,.0f} us"),
    Column[Latency]("memory", lambda row: "-" if row.memory_mib is None else f"{row.memory_mib:.1f} MiB"),
)


def latency_table(found: Latencies) -> Table[Latency]:
    """Latencies as a table."""
    machine = found.machine.items()
    where = ", ".join(value if key in ("processor", "system") else f"{key} {value}" for key, value in machine)
    note = (
        f"Median and 95th percentile of {found.calls:,} calls with one image: CPU time, one thread, the models in "
        "turns. Accuracy: on all test images, as recorded. Memory: what the model adds to a process that has imported "
        f"the runtime. Machine: {where}."
    )
    return Table("Latency of one image", _COLUMNS, found.rows, note)


def write_latencies(path: Path, found: Latencies) -> None:
    """Writes a record.

    Raises:
        InputError: the parent folder does not exist.
    """
    rows = [asdict(row) for row in found.rows]
    write_json(path, {"calls": found.calls, "machine": dict(found.machine), "rows": rows})


def read_latencies(path: Path) -> Latencies:
    """Reads a record.

    Raises:
        InputError: there is none, or it is of another kind.
        RunError: it is damaged.
    """
    values = read_json(path)
    if values is None:
        raise InputError(f"The record {str(path)!r} does not exist: check the path.")
    try:
        return Latencies([Latency(**row) for row in values["rows"]], values["calls"], values["machine"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{str(path)!r} is no record of `osakd latency`: give the file that --record wrote."
        ) from error
