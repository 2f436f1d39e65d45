"""``osakd latency``: accuracy, size, time and memory of trained networks and exported files, side by side."""

from collections.abc import Sequence
from typing import Any

from osakd.cli.command import command
from osakd.deploy import api


@command(api.latency, positional=("models",))
def latency(models: Sequence[str], **options: Any) -> None:
    """Compare run folders and exported files: accuracy, size, time of one image, memory.

    Args:
        models: run folders and exported files; or one record, whose table is printed.
        **options: those of ``osakd.deploy.api.latency``.
    """
    from osakd.deploy.latency import latency_text, read_latencies
    from osakd.paths import given_path

    if len(models) == 1 and models[0].endswith(".json"):
        latencies = read_latencies(given_path(models[0]))
    else:
        latencies = api.latency(models, **options)
    print(f"Latency of one image\n\n{latency_text(latencies)}")
