"""``osakd predict``: the classes of images, by a run folder or an exported file."""

import json
from collections.abc import Sequence

from osakd.cli.options import new_parser, parse

SHOWN = 3
"""The most classes that are printed for an image."""


def command(argv: Sequence[str]) -> int:
    """Prints the most probable classes of each image."""
    parser = new_parser("predict", "Predict the classes of images, which are decoded and resized as in training.")
    parser.add_argument("model", type=str, help="folder of a finished run, or an exported file")
    parser.add_argument("images", type=str, nargs="+", help="image files")
    parser.add_argument("--json", action="store_true", help="print every probability as JSON, an object for each image")
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd import api

    for path, prediction in zip(found.images, api.load(found.model).predict(found.images), strict=True):
        if found.json:
            print(json.dumps({"image": path, **prediction._asdict()}, ensure_ascii=False))
            continue
        best = sorted(prediction.probabilities.items(), key=lambda one: -one[1])[:SHOWN]
        print(f"{path}: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in best))
    return 0
