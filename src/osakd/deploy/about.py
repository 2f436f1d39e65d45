"""What an exported file says about itself, as JSON inside the file, and the checksum of the whole file in it."""

import json
import re
import zlib
from dataclasses import asdict, dataclass
from typing import Any

from osakd.errors import InputError

KEY = "osakd"
"""Name of the entry that holds it in the file."""
_CHECK = "crc32"
_PLACE = re.compile(rb'"%s": "([0-9a-f]{8})"' % _CHECK.encode())
"""Where the checksum of a file stands in it; it is that of the file with eight zeros there."""


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
        return json.dumps(asdict(self) | {_CHECK: 8 * "0"})

    @classmethod
    def from_json(cls, text: str | None, path: str) -> "About":
        """Reads the text inside a file.

        Raises:
            InputError: there is none, or it is not of this version.
        """
        try:
            values: dict[str, Any] = json.loads(text or "")
            del values[_CHECK]
            channels, height, width = values.pop("input_shape")
            names = tuple(values.pop("class_names"))
            return cls(class_names=names, input_shape=(channels, height, width), **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{path!r} was not written by this version of `osakd export`, it does not name its classes and input: "
                "export it again from its run folder."
            ) from error


def sealed(content: bytes) -> bytes:
    """The content of a file with its checksum in what it says about itself."""
    return _with_checksum(content, zlib.crc32(content))


def check_seal(content: bytes, *, needed: bool = False) -> None:
    """Checks a file that ``sealed`` made; one that holds no checksum was written by somebody else and is let pass.

    Args:
        content: the file.
        needed: do not let it pass: a runtime would end the process where it is damaged.

    Raises:
        ValueError: a byte of it has changed, or it has no checksum and needs one.
    """
    place = _PLACE.search(content)
    if needed and not place:
        raise ValueError("it has no checksum of `osakd export`")
    if place and zlib.crc32(_with_checksum(content, 0)) != int(place[1], 16):
        raise ValueError("its checksum is another")


def _with_checksum(content: bytes, value: int) -> bytes:
    return _PLACE.sub(b'"%s": "%08x"' % (_CHECK.encode(), value), content, count=1)
