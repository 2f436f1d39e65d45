"""Networks that predict the classes of images as users have them: paths, PIL images, arrays."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from osakd.data.arrays import Images, in_channels
from osakd.data.decode import decode
from osakd.data.encoded import EncodedSplit, read_file
from osakd.data.in_memory import encoded_image
from osakd.engine.evaluate import evaluating, to_floats
from osakd.errors import InputError
from osakd.paths import given_path
from osakd.records import DataOrigin

_BATCH = 64


class Prediction(NamedTuple):
    """The class of an image.

    Attributes:
        class_name: name of the most probable class.
        probability: its probability, 0 to 1.
        probabilities: the probability of every class by name; they sum to 1.
    """

    class_name: str
    probability: float
    probabilities: dict[str, float]


class Predictor(nn.Module):
    """A module from float images in [0, 1] to logits that knows its classes and the shape of its images.

    Attributes:
        class_names: name of each class.
        input_shape: channels, height and width of an image.
        data: the data that it was trained on, where a run or an exported file was loaded.
    """

    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    data: DataOrigin

    def predict(self, images: Any) -> list[Prediction]:
        """The class of each image, with probabilities. Images are decoded and resized as in training.

        Args:
            images: an image or several: paths, PIL images, arrays or tensors of ``uint8`` or of floats in [0, 1],
                ``[h, w]``, ``[h, w, channels]`` or ``[channels, h, w]``; or one array of several images, ``[n, ...]``.

        Raises:
            InputError: an image that cannot be read, of another shape, or with values out of range.
        """
        pixels = torch.from_numpy(pixels_of(images, self.input_shape))
        device = next(self.parameters(), torch.empty(0)).device
        with evaluating(self):
            logits = [self(to_floats(part.to(device))) for part in pixels.split(_BATCH)]
        return [self._prediction(row) for row in torch.cat(logits).double().softmax(1).cpu()]

    def _prediction(self, row: Tensor) -> Prediction:
        probabilities = dict(zip(self.class_names, row.tolist(), strict=True))
        best = self.class_names[int(row.argmax())]
        return Prediction(best, probabilities[best], probabilities)


class TrainedNetwork(Predictor, nn.Sequential):
    """The deployed network of a run: ``Sequential(normalise, network)`` that also predicts."""

    model: str


def pixels_of(images: Any, input_shape: tuple[int, int, int]) -> Images:
    """Images as ``Predictor.predict`` takes them, with its errors, as ``uint8`` pixels ``[n, h, w, channels]``."""
    channels, height, width = input_shape
    if not isinstance(images, list | tuple):
        shape: tuple[int, ...] = tuple(getattr(images, "shape", ()))
        if channels == 1 and len(shape) == 3 and shape[0] in (3, 4) and shape[2] not in (1, 3, 4):
            raise InputError(
                f"An array of shape {shape} is one colour image or {shape[0]} grey ones: give {(1, *shape)} or "
                f"{(shape[0], 1, *shape[1:])}."
            )
        images = list(images) if len(shape) == 4 else [images]
    if not len(images):
        raise InputError("There is no image: give at least one.")
    origins = [
        str(image) if isinstance(image, str | Path) else f"image {number}" for number, image in enumerate(images)
    ]
    encoded = [_encoded(image, origin) for image, origin in zip(images, origins, strict=True)]
    decoded = decode(EncodedSplit(encoded, [0] * len(encoded), origins), (height, width))
    return in_channels(decoded.images, channels)


def _encoded(image: Any, origin: str) -> bytes:
    if isinstance(image, str | Path):
        return read_file(given_path(image))
    return encoded_image(image, origin)
