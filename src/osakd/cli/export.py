"""``osakd export``: a trained network as a file for another runtime, proved before it is written."""

from typing import Any

from osakd.cli.command import command
from osakd.deploy import api


@command(api.export, positional=("run",))
def export(**options: Any) -> None:
    """Export the network of a finished run, normalisation included.

    The file is compared with PyTorch on the test images and is only written if it computes the same.
    """
    done = api.export(**options)
    metadata, proof = done.metadata, done.proof
    shape = ", ".join(map(str, metadata.input_shape))
    print(f"{done.path}: {done.bytes:,} bytes, {metadata.number_format}; images {metadata.input} [n, {shape}]")
    print(
        f"{proof.images:,} test images: accuracy {100 * proof.accuracy:.2f} % (PyTorch "
        f"{100 * proof.pytorch_accuracy:.2f} %), {proof.differ:,} predictions differ, logits by up to "
        f"{proof.difference:.2g}"
    )
