"""Exporting a trained network: the file is made in memory, proved on real test images, and then written."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from osakd import __version__
from osakd.data.arrays import DataArrays
from osakd.data.streams import permutation
from osakd.deploy.about import About
from osakd.deploy.exported import as_input, exported_from
from osakd.deploy.form import DeployedForm
from osakd.deploy.formats import format_of, module_of
from osakd.deploy.predict import black_images
from osakd.deploy.target import check_file
from osakd.durable import write_atomic
from osakd.engine.evaluate import for_network, target_of, to_floats
from osakd.errors import InputError, RunError
from osakd.models.cost import count_macs, count_parameters
from osakd.models.normalise import Normalise
from osakd.records import Result, RunConfig

Input = Literal["float", "uint8"]
LARGEST_DIFFERENCE = 1e-4
"""Logits of a float file may differ from PyTorch's by this, relative to the largest one where that is above 1."""
LARGEST_LOSS = 0.01
"""Accuracy that an int8 file may lose."""
_BATCH, _KEY_OF_CALIBRATION = 500, 3  # of the random order; 0 to 2 are those of the splits of the data


class Proof(NamedTuple):
    """How a file compares with PyTorch on the test images.

    Attributes:
        images: number of test images.
        accuracy: accuracy of the file, 0 to 1.
        pytorch_accuracy: accuracy of the network in PyTorch, 0 to 1.
        differ: number of images whose predicted class differs.
        difference: largest difference of two logits.
    """

    images: int
    accuracy: float
    pytorch_accuracy: float
    differ: int
    difference: float


class Export(NamedTuple):
    """An exported file: where it is, its size, what it says about itself, its proof."""

    path: Path
    bytes: int
    about: About
    proof: Proof


def check_target(path: Path) -> None:
    """Checks what can be checked before minutes of work.

    Raises:
        InputError: an unknown ending, or no folder to write to.
        RunError: no permission to write there.
    """
    format_of(path)
    check_file(path)


def export_network(
    network: nn.Sequential,
    config: RunConfig,
    result: Result,
    data: DataArrays,
    path: Path,
    *,
    int8: bool,
    calibrate: int,
    kind: Input,
    license_name: str | None,
) -> Export:
    """Exports the network of a run, and writes the file only if it is proved.

    Args:
        network: the network, as ``load_student`` gives it.
        config: the run's configuration.
        result: the run's result.
        data: images of the proof; those of the training split calibrate int8.
        path: file to write.
        int8: quantise weights and activations.
        calibrate: number of training images that the ranges of int8 activations are measured on.
        kind: values of the images that the file takes.
        license_name: licence of the network, for the file's metadata.

    Raises:
        InputError: data whose classes or images do not fit, or a missing extra.
        RunError: the file does not compute what PyTorch computes.
    """
    shape: tuple[int, int, int] = network.input_shape  # type: ignore[assignment] - set by load_student
    names: tuple[str, ...] = network.class_names  # type: ignore[assignment] - as above
    data = for_network(network, data)
    if data.test.images.shape[1:] != (*shape[1:], shape[0]):
        height, width, _ = data.test.images.shape[1:]
        raise InputError(
            f"The network takes images of {shape[1]}x{shape[2]}, but those of {data.name!r} are {height}x{width}: "
            "take images of that size."
        )
    target = torch.from_numpy(target_of(names, data))
    form = DeployedForm(network, pixels=kind == "uint8")
    images = torch.from_numpy(data.test.images)
    example = as_input(to_floats(images[:1]).repeat(2, 1, 1, 1), kind)
    make = module_of(path).write(form, example, _calibration(data, calibrate, kind) if int8 else None)
    normalise = cast(Normalise, network[0])
    about = About(
        model=config.model,
        class_names=names,
        input_shape=shape,
        input=kind,
        int8=int8,
        mean=normalise.mean.flatten().tolist(),
        std=normalise.std.flatten().tolist(),
        parameters=count_parameters(network),
        macs=count_macs(network, black_images(1, shape)),
        method=config.method,
        data=data.name,
        data_kind=data.kind,
        data_content=data.content,
        test_images=len(target),
        accuracy=0.0,
        commit=result.environment.get("commit"),
        license=license_name,
        osakd=__version__,
    )
    expected = _logits(network, images)
    first = _prove(make(about.to_json()), path, images, expected, target, int8=int8)
    about = replace(about, accuracy=first.accuracy)
    content = make(about.to_json())  # the file that is written is proved as a whole, with what it says
    proof = _prove(content, path, images, expected, target, int8=int8)
    write_atomic(path, content)
    return Export(path, len(content), about, proof)


def _prove(content: bytes, path: Path, images: Tensor, expected: Tensor, target: Tensor, *, int8: bool) -> Proof:
    """Compares a file with PyTorch on the test images.

    Raises:
        RunError: they differ by more than float32 or int8 explains.
    """
    try:
        got = _logits(exported_from(content, path, format_of(path).title), images)
    except RuntimeError as error:
        raise RunError(
            f"The exported network does not run ({str(error).splitlines()[0]}); {str(path)!r} was not written: take "
            "another format."
        ) from error
    found = Proof(
        images=len(target),
        accuracy=(got.argmax(1) == target).double().mean().item(),
        pytorch_accuracy=(expected.argmax(1) == target).double().mean().item(),
        differ=int((got.argmax(1) != expected.argmax(1)).sum()),
        difference=(got - expected).abs().max().item(),
    )
    if int8:
        loss = found.pytorch_accuracy - found.accuracy
        if not loss <= LARGEST_LOSS:
            raise RunError(
                f"int8 loses {100 * loss:.2f} points of accuracy ({100 * found.accuracy:.2f} % after "
                f"{100 * found.pytorch_accuracy:.2f} %), more than {100 * LARGEST_LOSS:g}; {str(path)!r} was not "
                "written: calibrate on more images with --calibrate, or leave --int8 out."
            )
    elif found.differ or not found.difference <= LARGEST_DIFFERENCE * max(1.0, expected.abs().max().item()):
        raise RunError(
            f"The exported network does not compute what PyTorch computes ({found.differ} of {found.images} "
            f"predictions differ, logits by up to {found.difference:.2g}); {str(path)!r} was not written: take another "
            "format."
        )
    return found


@torch.no_grad()
def _logits(network: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([network(to_floats(part)) for part in images.split(_BATCH)])


def _calibration(data: DataArrays, count: int, kind: str) -> Tensor:
    """A fixed random part of the training images, as the file takes them."""
    if len(data.train) == 0:
        raise InputError(f"The data {data.name!r} has no training images, which int8 is calibrated on: name others.")
    order = permutation(len(data.train), seed=0, stage=0, stream="split", epoch=_KEY_OF_CALIBRATION)
    return as_input(to_floats(torch.from_numpy(data.train.images[order[:count]])), kind)
