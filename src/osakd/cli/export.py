"""``osakd export``: a trained network as a file for another runtime, proved before it is written."""

from collections.abc import Sequence
from typing import Literal

from osakd.cli.options import new_parser, parse


def command(argv: Sequence[str]) -> int:
    """Exports the network of a run, and prints its proof."""
    parser = new_parser(
        "export",
        "Export the network of a finished run, normalisation included. The file is compared with PyTorch on the test "
        "images and is only written if it computes the same.",
    )
    parser.add_argument("run", type=str, help="folder of the run")
    parser.add_argument("--to", type=str, required=True, help="file to write: .onnx or .pte (ExecuTorch)")
    parser.add_argument("--int8", action="store_true", help="quantise weights and activations")
    parser.add_argument(
        "--calibrate", type=int, default=512, help="number of training images that int8 ranges are measured on"
    )
    parser.add_argument(
        "--input",
        type=Literal["float", "uint8"],
        default="float",
        help="values of the images that the file takes: float in [0, 1], or uint8 pixels",
    )
    parser.add_argument(
        "--data", type=str | None, default=None, help="data of the proof; by default what the run was trained on"
    )
    parser.add_argument(
        "--license", type=str | None, default=None, help="licence of the network, such as apache-2.0, for the file"
    )
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd.deploy import api

    done = api.export(
        found.run,
        found.to,
        int8=found.int8,
        calibrate=found.calibrate,
        input=found.input,
        data=found.data,
        license=found.license,
    )
    metadata, proof = done.metadata, done.proof
    shape = ", ".join(map(str, metadata.input_shape))
    print(f"{done.path}: {done.bytes:,} bytes, {metadata.number_format}; images {metadata.input} [n, {shape}]")
    print(
        f"{proof.images:,} test images: accuracy {100 * proof.accuracy:.2f} % (PyTorch "
        f"{100 * proof.pytorch_accuracy:.2f} %), {proof.differ:,} predictions differ, logits by up to "
        f"{proof.difference:.2g}"
    )
    return 0
