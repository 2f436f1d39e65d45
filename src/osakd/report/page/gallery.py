"""What a report shows of training images and their soft labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A training image.

    Attributes:
        source: the image as a PNG in a ``data:`` address.
        name: name of its class.
        entropy: entropy of its soft label, in nats.
        shares: classes of its soft label with their probabilities, the largest first, and its own class.
    """

    source: str
    name: str
    entropy: float
    shares: list[tuple[str, float]]


@dataclass(frozen=True)
class Gallery:
    """Training images of a run, the most ambiguous soft labels first.

    Attributes:
        title: the run.
        caption: how the soft labels came about.
        pictures: the images, in order.
    """

    title: str
    caption: str
    pictures: list[Picture]
