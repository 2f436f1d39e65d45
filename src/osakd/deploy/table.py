"""Latencies as a record, and as text of 80 columns: a table of the networks, and one of what each file costs."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from osakd.deploy.latency import Latency
from osakd.durable import write_json
from osakd.errors import InputError
from osakd.read_json import read_json


class Latencies(NamedTuple):
    """What was measured, the number of timed calls of each, and where."""

    rows: Sequence[Latency]
    calls: int
    machine: Mapping[str, str]


_WIDTH = 80


def latency_text(found: Latencies) -> str:
    """Latencies as Markdown whose columns are aligned."""
    networks = dict.fromkeys((one.network, one.data, one.parameters, one.macs) for one in found.rows)
    about = [[name, data, f"{parameters:,}", f"{macs / 1e6:.2f} M"] for name, data, parameters, macs in networks]
    machine = found.machine.items()
    where = ", ".join(value if key in ("processor", "system") else f"{key} {value}" for key, value in machine)
    note = (
        f"us: median and 95th percentile of {found.calls:,} calls with one image, in microseconds of CPU time, one "
        "thread, models in turns. kB: 1,000 bytes of the file. MiB: memory that the model adds to a process with the "
        f"runtime imported. Accuracy: on all test images, as recorded. Machine: {where}."
    )
    costs = _aligned(["model", "accuracy", "kB", "median us", "p95 us", "MiB"], [_cost(one) for one in found.rows], 1)
    return "\n\n".join(
        [_aligned(["network", "data", "parameters", "MACs"], about, 2), costs, textwrap.fill(note, _WIDTH)]
    )


def _cost(row: Latency) -> list[str]:
    is_plain = row.numbers == "float32" or row.numbers in row.name
    return [
        row.name if is_plain else f"{row.name} ({row.numbers})",
        f"{100 * row.accuracy:.2f} %",
        f"{row.bytes / 1000:,.1f}",
        f"{row.median_us:,.0f}",
        f"{row.p95_us:,.0f}",
        "-" if row.memory_mib is None else f"{row.memory_mib:.1f}",
    ]


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """A Markdown table; the first ``words`` columns are text, the others numbers."""
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    rule = ["-" * (width - (place >= words)) + ":" * (place >= words) for place, width in enumerate(widths)]
    lines = [
        [
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in escaped
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


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
