"""Draws docs/images/soft-label.svg, how a soft label is made: ``python docs/soft_label.py``, some seconds.

A small network learns digits for two epochs. The picture shows that image of a batch of 64 whose eight nearest outputs
disagree most, while most are of its class, the images of these outputs, and their shares of the classes.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import osakd
from osakd.models.build import build_model

PICTURE = Path(__file__).parent / "images/soft-label.svg"
K, BATCH = 8, 64
STYLE = """text { font: 22px system-ui, sans-serif; fill: #1f2328 } .bar { fill: #0969da }
.box { fill: none; stroke: #0969da; stroke-width: 4 } .frame { fill: none; stroke: #8b949e }
.arrow { stroke: #8b949e; stroke-width: 3; fill: none }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .bar { fill: #4493f8 } .box { stroke: #4493f8 } }"""


def ambiguous() -> tuple[np.ndarray, list[int]]:
    """The images ``[9, 8, 8]`` and classes of a sample and of its neighbours, the nearest first: the sample itself."""
    torch.manual_seed(0)
    pixels, classes = load_digits(return_X_y=True)
    images = torch.as_tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    target = torch.as_tensor(classes, dtype=torch.int64)
    network = build_model("lenet-digits", num_classes=10, input_shape=(1, 8, 8))
    optimizer, loss = torch.optim.SGD(network.parameters(), lr=0.1), osakd.OSAKDLoss(num_classes=10, k=K)
    for _ in range(2):
        for rows in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss(network(images[rows]), target[rows]).backward()
            optimizer.step()
    rows = torch.randperm(len(images))[:BATCH]
    with torch.no_grad():
        outputs = network(images[rows]).softmax(1)
    posterior = osakd.knn_posterior(outputs, outputs, target[rows], num_classes=10, k=K)
    right = posterior[torch.arange(BATCH), target[rows]] > 0.5
    entropy = -torch.xlogy(posterior, posterior).sum(1)
    sample = int(torch.where(right, entropy, -1).argmax())
    nearest = torch.cdist(outputs, outputs)[sample].argsort(stable=True)[:K]
    shown = rows[nearest]
    return (images[shown, 0].numpy() * 16).astype(int), target[shown].tolist()


def tile(pixels: np.ndarray, x: int, y: int, size: int) -> str:
    """A grey image as paths, one for each level."""
    paths = []
    for level in np.unique(pixels):
        squares = "".join(f"M{column} {row}h1v1h-1z" for row, column in np.argwhere(pixels == level))
        grey = 255 - int(level) * 255 // 16
        paths.append(f'<path fill="rgb({grey},{grey},{grey})" d="{squares}"/>')
    scaled = f'<g transform="translate({x} {y}) scale({size / 8})" shape-rendering="crispEdges">{"".join(paths)}</g>'
    return f'{scaled}<rect class="frame" x="{x}" y="{y}" width="{size}" height="{size}"/>'


def text(x: int, y: int, words: str, name: str = "", anchor: str = "middle") -> str:
    """A line of text."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{f" class={name!r}" if name else ""}>{words}</text>'


def draw(images: np.ndarray, classes: Sequence[int]) -> str:
    """The picture of a sample, which is the first, and its neighbours."""
    parts = [tile(images[0], 30, 90, 120), text(90, 240, f"a “{classes[0]}”"), text(90, 40, "one image of")]
    parts += [
        text(90, 66, "the batch"),
        text(340, 40, f"the {K} nearest outputs of"),
        text(340, 66, "the network, itself first"),
    ]
    for number, label in enumerate(classes):
        x, y = 220 + number % 4 * 62, 90 + number // 4 * 86
        parts += [tile(images[number], x, y, 54), text(x + 27, y + 76, str(label), "vote")]
    parts += [
        '<rect class="box" x="220" y="90" width="54" height="54"/>',
        text(605, 40, "its soft label, next"),
        text(605, 66, "to the class itself"),
    ]
    for number, (label, votes) in enumerate(sorted(Counter(classes).items(), key=lambda vote: (-vote[1], vote[0]))):
        y = 98 + number * 42
        parts += [text(522, y + 22, str(label), "label", "end")]
        parts += [f'<rect class="bar" x="532" y="{y}" width="{votes * 140 // K}" height="28"/>']
        parts += [text(540 + votes * 140 // K, y + 22, f"{votes}/{K}", "share", "start")]
    for x in (165, 472):
        parts.append(f'<path class="arrow" d="M{x} 150h28m-10 -9l10 9l-10 9"/>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 262" role="img">'
        "<title>How a soft label is made</title>"
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(*ambiguous()), encoding="utf-8")
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")
