"""Exported files: their formats by ending, and a file that is loaded and predicts as the network of a run does."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from osakd.deploy.metadata import Input, Metadata
from osakd.engine.predict import Predictor
from osakd.errors import InputError, needing, one_line
from osakd.read_json import read_bytes

FORMATS = {".onnx": "osakd.deploy.onnx_format", ".pte": "osakd.deploy.pte_format"}
"""The module that writes and reads the files with an ending, see ``Format``."""


class Format(Protocol):
    """What the module of a format has: its name for readers, the module that computes its files, and two functions."""

    TITLE: str
    RUNTIME: str

    def write(
        self, network: nn.Module, example: Tensor, calibration: Tensor | None, opset: int | None
    ) -> Callable[[str], bytes]:
        """Exports a network.

        Args:
            network: the network, see ``DeployableNetwork``.
            example: images ``[2, channels, h, w]`` of the type that the file takes.
            calibration: images that the ranges of int8 activations are measured on; None exports float32.
            opset: version of the format's operators; None for the usual one.

        Returns:
            A function from the text of the file's metadata to its content; it may be called several times.

        Raises:
            InputError: the format's extra is not installed, or it has no such operators.
            Exception: of any kind, where it has no form of a layer.
        """
        ...

    def read(self, content: bytes) -> tuple[Callable[[Tensor], Tensor], str | None]:
        """Loads a file: the function from images ``[n, channels, h, w]`` to logits, and the text of its metadata.

        Raises:
            InputError: the format's extra is not installed.
            Exception: of any kind, where the content is damaged.
        """
        ...


class ExportedNetwork(Predictor):
    """An exported file in the runtime of its format, on the CPU; the runtime takes images as the file does."""

    def __init__(self, runtime: Callable[[Tensor], Tensor], metadata: Metadata) -> None:
        super().__init__()
        self.runtime, self.metadata = runtime, metadata
        self.class_names, self.input_shape = metadata.class_names, metadata.input_shape
        self.data = {"name": metadata.data, "kind": metadata.data_kind, "content": metadata.data_content}

    def forward(self, images: Tensor) -> Tensor:
        """The logits ``[n, classes]`` of float images in [0, 1] ``[n, channels, h, w]``."""
        if tuple(images.shape[1:]) != self.input_shape:
            got, expected = ("x".join(map(str, shape)) for shape in (images.shape[1:], self.input_shape))
            raise InputError(f"The file takes images of {expected} (channels, height, width), got {got}: resize them.")
        try:
            logits = self.runtime(as_input(images, self.metadata.input))
        except Exception as error:  # each runtime has its own
            raise InputError(f"The file cannot be computed ({one_line(error)[:200]}): export it again.") from error
        if logits.shape != (len(images), len(self.class_names)) or not logits.is_floating_point():
            raise InputError(
                f"The file does not give a logit for each of {len(self.class_names)} classes: export it again."
            )
        return logits


def as_input(images: Tensor, values: Input) -> Tensor:
    """Float images in [0, 1] as a file takes them."""
    converted = images if values == "float" else images.mul(255).round().to(torch.uint8)
    # Into new memory: with one channel, `contiguous` keeps strides of channels-last images, which ExecuTorch goes by.
    return torch.empty(converted.shape, dtype=converted.dtype).copy_(converted)


def format_of(path: Path) -> Format:
    """The format of a file by its ending, an InputError for another one; its library is not imported yet."""
    if path.suffix not in FORMATS:
        known = " or ".join(f"{ending} ({import_module(module).TITLE})" for ending, module in FORMATS.items())
        raise InputError(f"{str(path)!r} has an unknown ending: name a file that ends with {known}.")
    return cast(Format, import_module(FORMATS[path.suffix]))


def load_exported(path: Path) -> ExportedNetwork:
    """Loads an exported file."""
    file_format = format_of(path)
    content = read_bytes(path)
    if content is None:
        raise InputError(f"The file {str(path)!r} does not exist: check the path.")
    return loaded(content, path, file_format)


def loaded(content: bytes, path: Path, file_format: Format) -> ExportedNetwork:
    """The network in the content of an exported file; an InputError where it is damaged or of another kind."""
    try:
        runtime, text = file_format.read(content)
    except InputError:
        raise
    except Exception as error:  # each runtime has its own
        raise InputError(
            f"{str(path)!r} cannot be loaded as {file_format.TITLE}, it is damaged or of another kind "
            f"({one_line(error)[:200]}): export it again."
        ) from error
    return ExportedNetwork(runtime, Metadata.from_json(text, str(path)))


@contextmanager
def using_extra(extra: str) -> Iterator[None]:
    """Imports and calls an extra's packages without their warnings and logs; an InputError if one is missing."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with needing(extra), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
