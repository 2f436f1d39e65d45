"""Encoded images become uint8 arrays, as a viewer shows them: rotated by their EXIF orientation, on white.

``docs/data.md`` says what is read. Raise ``RULES`` when the pixels of some image change.
"""

import io
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from osakd.data.arrays import Images, in_channels
from osakd.data.encoded import EncodedSplit
from osakd.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {"AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "JXL", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP"}
"""What is read, as Pillow names it; other decoders of it start programs, as for PostScript, or are hardly tried."""
RULES = "1"
"""Version of the rules by which images are rotated, put on white and resized."""


class Decoded(NamedTuple):
    """Images ``[m, h, w, channels]``, and how many of them were rotated and were put on white."""

    images: Images
    rotated: int = 0
    composited: int = 0


def decode(split: EncodedSplit, resize: tuple[int, int] | None) -> Decoded:
    """The images of a split in one array; one colour image makes all of them colour.

    Raises:
        InputError: an image that cannot be decoded, or images of several sizes without ``resize``.
    """
    images: Images = np.empty((0, 0, 0, 1), dtype=np.uint8)
    rotated = composited = 0
    for row, (encoded, origin) in enumerate(zip(split.images, split.origins, strict=True)):
        image, was_rotated, was_composited = _decode_image(encoded, origin, resize)
        if row == 0:
            images = np.empty((len(split.images), *image.shape), dtype=np.uint8)
        check_size(image.shape, origin, images.shape[1:], split.origins[0])
        images = in_channels(images, max(image.shape[2], images.shape[3]))
        images[row] = in_channels(image, images.shape[3])
        rotated, composited = rotated + was_rotated, composited + was_composited
    return Decoded(images, rotated, composited)


def check_size(shape: tuple[int, ...], origin: str, first: tuple[int, ...], first_origin: str) -> None:
    """Refuses, by an InputError, an image of another height or width than the first one."""
    if shape[:2] != first[:2]:
        raise InputError(
            f"Images must all have one size, but {origin} is {shape[0]}x{shape[1]} and {first_origin} is "
            f"{first[0]}x{first[1]}: choose one with --resize, such as --resize 32 or --resize 64x48 (height x width)."
        )


def resized(image: "Image.Image", size: tuple[int, int] | None) -> "Image.Image":
    """The image in this height and width, bilinear with antialiasing (Pillow's filter widens when it shrinks)."""
    from PIL import Image

    if size is None or image.size == size[::-1]:
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _decode_image(encoded: bytes, origin: str, resize: tuple[int, int] | None) -> tuple[Images, bool, bool]:
    """The image ``[h, w, channels]``, whether it was rotated, and whether it was put on white."""
    from PIL import Image, ImageOps

    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # half of what is refused
            Image.init()
            opened = Image.open(io.BytesIO(encoded), formats=sorted(FORMATS & Image.OPEN.keys()))
        with opened as image:
            if image.mode[0] in "IF":
                raise InputError(f"{origin} has more than 8 bits per channel: save it with 8 bits.")
            image.load()
            mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
            rotated = _orientation(image) in range(2, 9)
            upright = ImageOps.exif_transpose(image) if rotated else image
            opaque, composited = _on_white(upright)
            plain = opaque if opaque.mode == mode else opaque.convert(mode)
            array = np.asarray(resized(plain, resize))
            return array.reshape(*array.shape[:2], -1), rotated, composited
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{origin} has more than {most:,} pixels, the most that are read: make it smaller.") from error
    except Exception as error:  # Pillow's decoders raise many kinds
        raise InputError(f"{origin} cannot be decoded as an image: replace it or remove it.") from error


def _orientation(image: "Image.Image") -> object:
    """The EXIF orientation; 1, upright, where there is none or it is damaged."""
    from PIL import ExifTags

    with suppress(Exception):  # damaged EXIF data raise many kinds, and the image itself is sound
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    return 1


def _on_white(image: "Image.Image") -> "tuple[Image.Image, bool]":
    """The image on a white ground, and whether some of it was transparent."""
    from PIL import Image

    if not image.has_transparency_data:
        return image, False
    colour = image.convert("RGBA")
    if colour.getextrema()[3][0] == 255:  # type: ignore[index] - a pair for each of the four channels
        return colour, False
    ground = Image.new("RGBA", colour.size, "white")
    ground.alpha_composite(colour)
    return ground, True
