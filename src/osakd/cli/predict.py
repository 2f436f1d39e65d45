"""``osakd predict``: the classes of images, by a run folder or an exported file."""

import json as to_json
from collections.abc import Sequence

from osakd import api
from osakd.cli.command import command

SHOWN = 3
"""The most classes that are printed for an image."""


@command(positional=("model", "images"))
def predict(model: str, images: Sequence[str], *, json: bool = False) -> None:
    """Predict the classes of images, which are decoded and resized as in training.

    Args:
        model: folder of a finished run, or an exported file.
        images: image files.
        json: print every probability as JSON, an object for each image.
    """
    for path, prediction in zip(images, api.load(model).predict(images), strict=True):
        if json:
            print(to_json.dumps({"image": path, **prediction._asdict()}, ensure_ascii=False))
            continue
        by_probability = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        print(f"{path}: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in by_probability[:SHOWN]))
