"""The metadata of an exported file, as JSON inside the file, with the checksum of the whole file."""

import json
import re
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

from osakd.errors import InputError
from osakd.read_json import build, load_json

Input = Literal["float", "uint8"]
"""Values of the images that a file takes: floats in [0, 1], or pixels of 0 to 255."""
KEY = "osakd"
"""Name of the entry of a file that holds its metadata."""
_CHECK, _ZEROS = "crc32", 8 * "0"
_CHECKSUM = re.compile(rb'"crc32": "([0-9a-f]{8})"')


@dataclass(frozen=True)
class Metadata:
    """What an exported file holds, and what it was proved on.

    Attributes:
        input: values of the images: ``float`` in [0, 1] or ``uint8``.
        mean: mean of each channel that is subtracted inside the file, for images in [0, 1].
        accuracy: accuracy of the file on them, 0 to 1.
    """

    model: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    input: Input
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
        """The text inside the file, with a place for the checksum, see ``with_checksum``."""
        return json.dumps(asdict(self) | {_CHECK: _ZEROS})

    @classmethod
    def from_json(cls, text: str | None, path: str) -> "Metadata":
        """Reads the text inside a file; an InputError without one, or for one of another version."""
        try:
            values: dict[str, Any] = load_json(text or "")
            del values[_CHECK]
            tuples = {key: tuple(values[key]) for key in ("class_names", "input_shape")}
            return build(cls, values | tuples)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{path!r} was not written by this version of `osakd export`, it does not name its classes and input: "
                "export it again from its run folder."
            ) from error


def with_checksum(content: bytes) -> bytes:
    """The content of a file with its own CRC-32, computed with zeros in its place, in its metadata."""
    return _CHECKSUM.sub(b'"crc32": "%08x"' % zlib.crc32(content), content, count=1)


def verify_checksum(content: bytes, *, needed: bool = False) -> None:
    """Checks a file that ``with_checksum`` made; a file without one, written by another tool, passes.

    It is refused if ``needed``: a runtime may end the process where the file is damaged.
    """
    checksum = _CHECKSUM.search(content)
    if checksum is None:
        if needed:
            raise ValueError("it has no checksum of `osakd export`")
        return
    with_zeros = content[: checksum.start(1)] + _ZEROS.encode() + content[checksum.end(1) :]
    if zlib.crc32(with_zeros) != int(checksum[1], 16):
        raise ValueError("its checksum does not fit")
