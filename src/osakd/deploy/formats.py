"""The formats of exported files by ending: which module writes and reads them, and which extra it needs."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from osakd.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn


class FormatModule(Protocol):
    """What the module of a format has."""

    @staticmethod
    def write(form: "nn.Module", example: "Tensor", calibration: "Tensor | None") -> Callable[[str], bytes]:
        """Exports a network.

        Args:
            form: the network, see ``DeployedForm``.
            example: images ``[2, channels, h, w]`` of the type that the file takes.
            calibration: images that the ranges of int8 activations are measured on; None exports float32.

        Returns:
            A function from what the file says about itself to its content; it may be called several times.
        """
        ...

    @staticmethod
    def start() -> None:
        """Imports the runtime.

        Raises:
            InputError: its extra is not installed.
        """
        ...

    @staticmethod
    def read(content: bytes) -> "tuple[Callable[[Tensor], Tensor], str | None]":
        """Loads a file: the function from images ``[n, channels, h, w]`` to logits, and what it says about itself.

        Raises:
            Exception: of any kind, where the content is damaged.
        """
        ...


class Format(NamedTuple):
    """A format of exported files.

    Attributes:
        title: its name for readers.
        module: module that writes and reads it.
    """

    title: str
    module: str


FORMATS = {
    ".onnx": Format("ONNX", "osakd.deploy.onnx_format"),
    ".pte": Format("ExecuTorch", "osakd.deploy.pte_format"),
}


def is_exported(path: Path) -> bool:
    """Whether a path is that of an exported file, by its ending."""
    return path.suffix in FORMATS and not path.is_dir()


def format_of(path: Path) -> Format:
    """The format of a file.

    Raises:
        InputError: an unknown ending.
    """
    if path.suffix not in FORMATS:
        known = ", ".join(f"{ending} ({one.title})" for ending, one in FORMATS.items())
        raise InputError(f"{str(path)!r} has none of the known endings: name a file that ends with one of {known}.")
    return FORMATS[path.suffix]


def module_of(path: Path) -> FormatModule:
    """The module that writes and reads a file; other packages are imported when its functions are called."""
    return import_module(format_of(path).module)  # type: ignore[return-value] - a module fits its protocol
