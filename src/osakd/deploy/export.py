"""Exporting a trained network: the file is made in memory, proved on real test images, and then written."""

import copy
import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from osakd import __version__
from osakd.data.arrays import DataArrays
from osakd.data.streams import permutation
from osakd.deploy.exported import ExportedNetwork, Format, as_input, loaded
from osakd.deploy.metadata import Input, Metadata
from osakd.durable import write_atomic
from osakd.engine.evaluate import for_network, target_of, to_floats
from osakd.engine.state import TrainedRun
from osakd.errors import InputError, RunError
from osakd.models.cost import count_macs, count_parameters
from osakd.models.normalise import Normalise

LARGEST_DIFFERENCE = 1e-4
"""Logits of a float file may differ from PyTorch's by this, relative to the largest one where that is above 1."""
LARGEST_LOSS = 0.01
"""Accuracy that an int8 file may lose."""
_BATCH, _KEY_OF_CALIBRATION = 500, 3  # of the random order; 0 to 2 are those of the splits of the data


class Proof(NamedTuple):
    """How a file compares with PyTorch on the test images: accuracies, predictions that differ, logits by how much."""

    images: int
    accuracy: float
    pytorch_accuracy: float
    differ: int
    difference: float


class Export(NamedTuple):
    """An exported file: where it is, its size, its metadata, its proof."""

    path: Path
    bytes: int
    metadata: Metadata
    proof: Proof


class DeployableNetwork(nn.Module):
    """A trained network in the operations that small runtimes have: one product and one sum, then ReLU before pooling.

    The product and the sum are the normalisation. The maximum and ReLU commute, so that their exchange changes no bit;
    behind a convolution, ReLU costs nothing on a device. The given ``Sequential(normalise, network)`` is not changed.
    With ``pixels`` images are ``uint8``, 0 to 255, instead of floats in [0, 1].
    """

    scale: Float[Tensor, "1 channels 1 1"]
    shift: Float[Tensor, "1 channels 1 1"]

    def __init__(self, network: nn.Sequential, *, pixels: bool) -> None:
        super().__init__()
        normalise, self.network = copy.deepcopy(network).eval().children()
        if not isinstance(normalise, Normalise):
            raise TypeError("The first layer of a network that osakd trained is its normalisation.")
        self.register_buffer("scale", 1 / normalise.std[None] / (255 if pixels else 1))
        self.register_buffer("shift", -(normalise.mean / normalise.std)[None])
        for layers in [module for module in self.network.modules() if isinstance(module, nn.Sequential)]:
            for place in range(len(layers) - 1):
                if isinstance(layers[place], nn.MaxPool2d) and isinstance(layers[place + 1], nn.ReLU):
                    layers[place], layers[place + 1] = layers[place + 1], layers[place]
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Float[Tensor, "n classes"]:
        """The logits of images ``[n, channels, h, w]``."""
        return self.network(images.to(self.scale.dtype) * self.scale + self.shift)


def export_run(
    run: TrainedRun,
    data: DataArrays,
    out_file: Path,
    file_format: Format,
    *,
    calibrate: int,
    input_values: Input,
    license: str | None,  # noqa: A002 - as the option of the command
) -> Export:
    """Exports the network of a run, and writes the file only if it is proved on the test images.

    ``calibrate`` is the number of training images that the ranges of int8 activations are measured on; 0 exports
    float32.

    Raises:
        InputError: data whose classes or images do not fit, or a missing extra.
        RunError: the file does not compute what PyTorch computes.
    """
    network = run.network
    channels, height, width = network.input_shape
    data = for_network(network, data)
    if data.test.images.shape[1:] != (height, width, channels):
        other_height, other_width, _ = data.test.images.shape[1:]
        raise InputError(
            f"The network takes images of {height}x{width}, but those of {data.name!r} are "
            f"{other_height}x{other_width}: take images of that size."
        )
    target = torch.from_numpy(target_of(network.class_names, data))
    images = torch.from_numpy(data.test.images)
    example = to_floats(images[:1])
    log = logging.getLogger("osakd")
    log.info("Exporting %s%s", run.config.model, ", in int8" if calibrate else "")
    content_with = file_format.write(
        DeployableNetwork(network, pixels=input_values == "uint8"),
        as_input(example.repeat(2, 1, 1, 1), input_values),
        as_input(_calibration(data, calibrate), input_values) if calibrate else None,
    )
    normalise = cast(Normalise, network[0])
    metadata = Metadata(
        model=run.config.model,
        class_names=network.class_names,
        input_shape=network.input_shape,
        input=input_values,
        int8=calibrate > 0,
        mean=normalise.mean.flatten().tolist(),
        std=normalise.std.flatten().tolist(),
        parameters=count_parameters(network),
        macs=count_macs(network, example),
        method=run.config.method,
        data=data.name,
        data_kind=data.kind,
        data_content=data.content,
        test_images=len(target),
        accuracy=0.0,
        commit=run.result.environment.get("commit"),
        license=license,
        osakd=__version__,
    )
    log.info("Proving the file on %s test images", f"{len(target):,}")
    expected = _logits(network, images)
    first = _prove(loaded(content_with(metadata.to_json()), out_file, file_format), images, expected, target, out_file)
    metadata = replace(metadata, accuracy=first.accuracy)
    content = content_with(metadata.to_json())  # the file that is written is proved as a whole, with its metadata
    proof = _prove(loaded(content, out_file, file_format), images, expected, target, out_file)
    write_atomic(out_file, content)
    return Export(out_file, len(content), metadata, proof)


def _prove(file: ExportedNetwork, images: Tensor, expected: Tensor, target: Tensor, out_file: Path) -> Proof:
    """Compares a file with PyTorch's logits; a RunError where they differ by more than float32 or int8 explains."""
    try:
        logits = _logits(file, images)
    except RuntimeError as error:
        raise RunError(
            f"The exported network does not run ({str(error).splitlines()[0]}); {str(out_file)!r} was not written: "
            "take another format."
        ) from error
    predicted, wanted = logits.argmax(1), expected.argmax(1)
    proof = Proof(
        images=len(target),
        accuracy=(predicted == target).double().mean().item(),
        pytorch_accuracy=(wanted == target).double().mean().item(),
        differ=int((predicted != wanted).sum()),
        difference=(logits - expected).abs().max().item(),
    )
    if file.metadata.int8:
        loss = proof.pytorch_accuracy - proof.accuracy
        if not loss <= LARGEST_LOSS:
            raise RunError(
                f"int8 loses {100 * loss:.2f} points of accuracy ({100 * proof.accuracy:.2f} % after "
                f"{100 * proof.pytorch_accuracy:.2f} %), more than {100 * LARGEST_LOSS:g}; {str(out_file)!r} was not "
                "written: calibrate on more images with --calibrate, or leave --int8 out."
            )
    elif proof.differ or not proof.difference <= LARGEST_DIFFERENCE * max(1.0, expected.abs().max().item()):
        raise RunError(
            f"The exported network does not compute what PyTorch computes ({proof.differ} of {proof.images} "
            f"predictions differ, logits by up to {proof.difference:.2g}); {str(out_file)!r} was not written: take "
            "another format."
        )
    return proof


@torch.no_grad()
def _logits(network: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([network(to_floats(part)) for part in images.split(_BATCH)])


def _calibration(data: DataArrays, count: int) -> Tensor:
    """A fixed random part of the training images, as floats in [0, 1]."""
    if len(data.train) == 0:
        raise InputError(f"The data {data.name!r} has no training images, which int8 is calibrated on: name others.")
    order = permutation(len(data.train), seed=0, stage=0, stream="split", epoch=_KEY_OF_CALIBRATION)
    return to_floats(torch.from_numpy(data.train.images[order[:count]]))
