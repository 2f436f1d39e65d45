"""An exported file, loaded: it evaluates and predicts as the network of a run does."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from osakd.deploy.about import About
from osakd.deploy.formats import format_of, module_of
from osakd.deploy.predict import Predictor
from osakd.errors import InputError, one_line
from osakd.read_json import read_bytes


class ExportedNetwork(Predictor):
    """An exported file in the runtime of its format, on the CPU.

    Attributes:
        about: what the file says about itself.
        runtime: the function from images as the file takes them to logits.
    """

    def __init__(self, runtime: Callable[[Tensor], Tensor], about: About) -> None:
        super().__init__()
        self.runtime, self.about = runtime, about
        self.class_names, self.input_shape = about.class_names, about.input_shape

    def forward(self, images: Tensor) -> Tensor:
        """The logits ``[n, classes]`` of float images in [0, 1] ``[n, channels, h, w]``."""
        if tuple(images.shape[1:]) != self.input_shape:
            shape, wanted = ("x".join(map(str, sides)) for sides in (images.shape[1:], self.input_shape))
            raise InputError(f"The file takes images of {wanted} (channels, height, width), got {shape}: resize them.")
        return self.runtime(as_input(images, self.about.input))


def as_input(images: Tensor, kind: str) -> Tensor:
    """Float images in [0, 1] as a file takes them: ``float``, or ``uint8`` pixels."""
    given = images if kind == "float" else images.mul(255).round().to(torch.uint8)
    # Into new memory: with one channel, `contiguous` keeps strides of channels-last images, which ExecuTorch goes by.
    return torch.empty(given.shape, dtype=given.dtype).copy_(given)


def load_exported(path: Path) -> ExportedNetwork:
    """Loads an exported file.

    Raises:
        InputError: there is no such file, it is damaged, it was not written by ``osakd export``, or its extra is not
            installed.
    """
    title = format_of(path).title
    content = read_bytes(path)
    if content is None:
        raise InputError(f"The file {str(path)!r} does not exist: check the path.")
    return exported_from(content, path, title)


def exported_from(content: bytes, path: Path, title: str) -> ExportedNetwork:
    """Loads the content of an exported file, see ``load_exported``."""
    try:
        runtime, about = module_of(path).read(content)
    except InputError:
        raise
    except Exception as error:  # each runtime has its own
        words = one_line(error)[:200]
        raise InputError(
            f"{str(path)!r} cannot be loaded as {title}, it is damaged or of another kind ({words}): export it again."
        ) from error
    return ExportedNetwork(runtime, About.from_json(about, str(path)))
