"""The commands of the leaf: ``osakd export``, ``osakd latency``, ``osakd card``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osakd.cli.command import command
from osakd.cli.terminal import say, say_lines
from osakd.deploy import api


@command(api.export, positional=("run",))
def export(**options: Any) -> None:
    """Export the network of a finished run, normalisation included.

    The file is compared with PyTorch on the test images and is only written if it computes the same.
    """
    done = api.export(**options)
    metadata, proof = done.metadata, done.proof
    shape = ", ".join(map(str, metadata.input_shape))
    say(f"{done.path}: {done.bytes:,} bytes, {metadata.number_format}; images {metadata.input} [n, {shape}]")
    say(
        f"{proof.images:,} test images: accuracy {100 * proof.accuracy:.2f} % (PyTorch "
        f"{100 * proof.pytorch_accuracy:.2f} %), {proof.differ:,} predictions differ, logits by up to "
        f"{proof.difference:.2g}"
    )
    if metadata.int8:
        low, high = (100 * value for value in proof.lost)
        say(f"int8 loses {low:.2f} to {high:.2f} points of accuracy (each bound with 95 %)")


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
    say_lines(f"Latency of one image\n\n{latency_text(latencies)}")


@command(api.card, positional=("run",))
def card(*, to: str | Path | None = None, **options: Any) -> None:
    """Write the model card of a finished run, with the Hugging Face hub's metadata block.

    Args:
        to: file to write; by default the card is printed.
        **options: those of ``osakd.deploy.api.card``.
    """
    from osakd.durable import write_atomic
    from osakd.paths import out_path

    out_file = None if to is None else out_path(to)
    text = api.card(**options)
    if out_file is None:
        say_lines(text)
    else:
        write_atomic(out_file, text.encode())
        say(f"{to}: written")
