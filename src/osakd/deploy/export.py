"""Exporting a trained network: the file is made in memory, proved on real test images, and then written."""

import copy
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from scipy.stats import binomtest
from torch import Tensor, nn

from osakd import __version__
from osakd.data.arrays import DataArrays
from osakd.data.streams import permutation
from osakd.deploy.exported import ExportedNetwork, Format, as_input, loaded
from osakd.deploy.metadata import Input, Metadata
from osakd.durable import write_atomic
from osakd.engine.evaluate import for_network, target_of, to_floats
from osakd.engine.state import TrainedRun
from osakd.errors import InputError, RunError, one_line, printable
from osakd.models.cost import count_macs, count_parameters
from osakd.models.normalise import Normalise

LARGEST_DIFFERENCE = 1e-4
"""Logits of a float file may differ from PyTorch's by this, relative to the largest one where that is above 1."""
LARGEST_LOSS = 0.01
"""Accuracy that an int8 file may lose; it is refused where the test images show that it loses more."""
_BATCH, _KEY_OF_CALIBRATION = 500, 3  # of the random order; 0 to 2 are those of the splits of the data


class Proof(NamedTuple):
    """How a file compares with PyTorch on the test images: accuracies, predictions that differ, logits by how much.

    Attributes:
        lost: the accuracy that is lost, from and to, see ``lost_accuracy``.
    """

    images: int
    accuracy: float
    pytorch_accuracy: float
    differ: int
    difference: float
    lost: tuple[float, float]


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
    opset: int | None,
    input_values: Input,
    license: str | None,  # noqa: A002 - as the option of the command
) -> Export:
    """Exports the network of a run, and writes the file only if it is proved on the test images.

    ``calibrate`` is the number of training images that the ranges of int8 activations are measured on; 0 exports
    float32.
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
    calibration = as_input(_calibration(data, calibrate), input_values) if calibrate else None
    deployable = DeployableNetwork(network, pixels=input_values == "uint8")
    try:
        content_with = file_format.write(
            deployable, as_input(example.repeat(2, 1, 1, 1), input_values), calibration, opset
        )
    except InputError:
        raise
    except Exception as error:  # each converter has its own
        raise InputError(
            f"{file_format.TITLE} has no form{' in int8' * (calibrate > 0)} of {_layer_of(error, deployable)}; "
            f"{str(out_file)!r} was not written: take another layer, or another format."
        ) from error
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
        lost=lost_accuracy(predicted, wanted, target),
    )
    if file.metadata.int8:
        low, high = (100 * value for value in proof.lost)
        if low > 100 * LARGEST_LOSS:
            raise RunError(
                f"int8 loses {low:.2f} to {high:.2f} points of accuracy ({100 * proof.accuracy:.2f} % after "
                f"{100 * proof.pytorch_accuracy:.2f} % on {proof.images} images), more than {100 * LARGEST_LOSS:g}; "
                f"{str(out_file)!r} was not written: leave --int8 out, or train another network."
            )
    elif proof.differ or not proof.difference <= LARGEST_DIFFERENCE * max(1.0, expected.abs().max().item()):
        raise RunError(
            f"The exported network does not compute what PyTorch computes ({proof.differ} of {proof.images} "
            f"predictions differ, logits by up to {proof.difference:.2g}); {str(out_file)!r} was not written: take "
            "another format."
        )
    return proof


def lost_accuracy(predicted: Tensor, before: Tensor, target: Tensor) -> tuple[float, float]:
    """The accuracy that predictions lose after others, from and to: each bound holds with a probability of 95 %.

    Exact for the images whose answer became wrong or right. Of those, the share that became wrong is binomial.
    """
    worse = int(((predicted != target) & (before == target)).sum())
    changed = worse + int(((predicted == target) & (before != target)).sum())
    interval = binomtest(worse, changed).proportion_ci(0.9, method="exact") if changed else (0.5, 0.5)
    low, high = ((2 * float(share) - 1) * changed / len(target) for share in interval)
    return low, high


def _layer_of(error: Exception, network: nn.Module) -> str:
    """The layer that a converter does not know, or the operator that it names, or what it says."""
    found = re.search(r"\baten[.:]+(\w+)", str(error))
    if found is None:
        return f"a layer of the network ({printable(one_line(error))[:200]})"
    for name, layer in network.named_modules():
        if type(layer).__name__.lower() == found[1].replace("_", ""):
            return f"the layer {name.removeprefix('network.')} ({type(layer).__name__})"
    return f"the operator {found[1]}"


@torch.no_grad()
def _logits(network: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([network(to_floats(part)) for part in images.split(_BATCH)])


def _calibration(data: DataArrays, count: int) -> Tensor:
    """A fixed random part of the training images, as floats in [0, 1]."""
    if len(data.train) == 0:
        raise InputError(f"The data {data.name!r} has no training images, which int8 is calibrated on: name others.")
    order = permutation(len(data.train), seed=0, stage=0, stream="split", epoch=_KEY_OF_CALIBRATION)
    return to_floats(torch.from_numpy(data.train.images[order[:count]]))
