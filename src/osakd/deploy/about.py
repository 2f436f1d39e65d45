"""What an exported file says about itself, as JSON inside the file."""

import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from osakd.errors import InputError

KEY = "osakd"
"""Name of the entry that holds it in the file."""
_CHECK, _DIGITS = "crc32", 8
_MARK = f'"{_CHECK}": "'.encode()


@dataclass(frozen=True)
class About:
    """What an exported file holds, and what it was proved on.

    Attributes:
        model: name of the network.
        class_names: name of each class.
        input_shape: channels, height and width of an image.
        input: values of the images: ``float`` in [0, 1] or ``uint8``.
        int8: whether weights and activations are int8 numbers.
        mean: mean of each channel that is subtracted inside the file, for images in [0, 1].
        std: standard deviation of each channel that is divided by inside the file.
        parameters: number of parameters.
        macs: multiply-accumulates for each image.
        method: method that the network was trained with.
        data: name of the data set that it was proved on.
        data_kind: ``named``, ``hub`` or ``folder``.
        data_content: hash of its images and classes.
        test_images: number of test images of the proof.
        accuracy: accuracy of the file on them, 0 to 1.
        commit: commit of osakd that trained the network, if known.
        license: licence of the network as its maker gives it, if given.
        osakd: version of osakd that wrote the file.
    """

    model: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    input: str
    int8: bool
    mean: list[float]
    std: list[float]
    parameters: int
    macs: int
    method: str
    data: str
    data_kind: str
    data_content: str
    test_images: int
    accuracy: float
    commit: str | None
    license: str | None
    osakd: str

    @property
    def number_format(self) -> str:
        """``int8`` or ``float32``."""
        return "int8" if self.int8 else "float32"

    def to_json(self) -> str:
        """The text inside the file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None, path: str) -> "About":
        """Reads the text inside a file.

        Raises:
            InputError: there is none, or it is not of this version.
        """
        try:
            values: dict[str, Any] = json.loads(text or "")
            values.pop(_CHECK, None)
            channels, height, width = values.pop("input_shape")
            names = tuple(values.pop("class_names"))
            return cls(class_names=names, input_shape=(channels, height, width), **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{path!r} was not written by this version of `osakd export`, it does not name its classes and input: "
                "export it again from its run folder."
            ) from error


def with_checksum(make: Callable[[str], bytes], about: str) -> bytes:
    """A file whose text about itself ends with the checksum of the whole file, for formats that have none.

    Args:
        make: the content of the file with a text, which it holds as it is.
        about: the text, a JSON object.
    """
    content = make(f'{about[:-1]}, "{_CHECK}": "{"0" * _DIGITS}"}}')
    start = content.index(_MARK) + len(_MARK)
    return content[:start] + b"%08x" % zlib.crc32(content) + content[start + _DIGITS :]


def check(content: bytes, *, needed: bool = False) -> None:
    """Checks the checksum of a file, where it has one: older files and those of others have none.

    Args:
        content: the file.
        needed: it must have one.

    Raises:
        ValueError: the file is not what was written.
    """
    start = content.find(_MARK) + len(_MARK)
    if start < len(_MARK):
        if needed:
            raise ValueError("it has no checksum of `osakd export`")
        return
    found, blank = content[start : start + _DIGITS], content[:start] + b"0" * _DIGITS + content[start + _DIGITS :]
    if found != b"%08x" % zlib.crc32(blank):
        raise ValueError("its checksum does not fit: it was changed after it was written")
