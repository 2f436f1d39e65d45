"""The door of the leaf: export a trained network, measure it, write a model card.

Torch is imported when a function is called.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from osakd.api.arguments import images_for
from osakd.checks import choice, whole
from osakd.errors import needing
from osakd.paths import given_path, out_path

if TYPE_CHECKING:
    from osakd.data.in_memory import Data
    from osakd.deploy.export import Export
    from osakd.deploy.latency import Latencies


@needing("train")
def export(
    run: str | Path,
    to: str | Path,
    *,
    int8: bool = False,
    calibrate: int = 512,
    opset: int | None = None,
    input: Literal["float", "uint8"] = "float",  # noqa: A002 - as the option of the command
    data: "Data | None" = None,
    license: str | None = None,  # noqa: A002 - as above
    trust: bool = False,
) -> "Export":
    """Exports the network of a finished run, once it is proved on the test images to compute what PyTorch computes.

    Normalisation is inside the file. A float file must agree on every predicted class, and on logits to 1e-4; an int8
    file must not lose more than one point of accuracy, as far as the test images show. Otherwise nothing is written.

    Args:
        run: folder of the run.
        to: file to write; its ending is the format: .onnx or .pte (ExecuTorch).
        int8: quantise weights and activations to int8.
        calibrate: number of training images that the ranges of int8 activations are measured on, at least 1.
        opset: version of ONNX's operators; by default 18, which ONNX Runtime reads from 1.15 on.
        input: values of the images that the file takes, [n, channels, h, w]: float in [0, 1], or uint8.
        data: data of the proof, as for train; by default those that the run was trained on.
        license: licence of the network, such as apache-2.0, which the file then states.
        trust: call a function that the run's folder names as its network: its code runs.

    Returns:
        Its ``path``, ``bytes``, ``metadata``, and the ``proof``.

    Raises:
        InputError: not a finished run, data that do not fit, a path that cannot be written, a missing extra, or a layer
            that the format does not have.
        RunError: the file failed its proof; nothing was written.
    """
    from osakd.deploy.export import export_run
    from osakd.deploy.exported import format_of
    from osakd.engine.state import load_run

    choice("input", input, ("float", "uint8"))
    whole("calibrate", calibrate, least=1)
    out_file = out_path(to)
    file_format = format_of(out_file)
    trained = load_run(given_path(run), trust=trust)
    arrays = images_for(data, trained.config.data, test_only=not int8)
    how = {"calibrate": calibrate if int8 else 0, "opset": opset, "input_values": input, "license": license}
    return export_run(trained, arrays, out_file, file_format, **how)


@needing("train")
def latency(
    models: Sequence[str | Path], *, calls: int = 1000, record: str | Path | None = None, trust: bool = False
) -> "Latencies":
    """Measures trained networks and exported files side by side, with one image at a time on one thread.

    Args:
        models: run folders and exported files.
        calls: number of timed calls of each model, at least 1.
        record: JSON file to write the measurements to, which osakd latency prints again.
        trust: call a function that a run's folder names as its network: its code runs.

    Returns:
        ``rows``, one for each: accuracy, bytes, parameters, MACs, CPU time, memory; and where they were measured.

    Raises:
        InputError: one of them is neither a finished run nor an exported file that can be loaded, or the record cannot
            be written.
    """
    from osakd.deploy.latency import Latencies, machine, measure, write_latencies

    whole("calls", calls, least=1)
    paths = [given_path(model) for model in models]
    whole("models", len(paths), least=1)
    out_file = None if record is None else out_path(record)
    latencies = Latencies(measure(paths, calls=calls, trust=trust), calls, machine())
    if out_file is not None:
        write_latencies(out_file, latencies)
    return latencies


@needing("train")
def card(run: str | Path, *, license: str | None = None) -> str:  # noqa: A002 - as the option of the command
    """The model card of a finished run, as Markdown behind the Hugging Face hub's metadata block.

    Args:
        run: folder of the run.
        license: licence of the network, as the hub names it, such as apache-2.0.

    Raises:
        InputError: not a run folder, or a run that has not finished.
    """
    from osakd.deploy.card import model_card

    return model_card(given_path(run), license=license)
