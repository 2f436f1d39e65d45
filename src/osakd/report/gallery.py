"""What a report shows of training images and their soft labels; how they are found is not its business."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A training image.

    Attributes:
        source: the image as a PNG in a ``data:`` address.
        name: of its class.
        entropy: of its soft label, in nats.
        shares: the first classes of its soft label with their probability, the largest first, and its own class.
    """

    source: str
    name: str
    entropy: float
    shares: list[tuple[str, float]]


@dataclass(frozen=True)
class Gallery:
    """Training images of a run, the most ambiguous soft labels first.

    Attributes:
        title: which run.
        caption: how the neighbours were found.
        pictures: in order.
    """

    title: str
    caption: str
    pictures: list[Picture]
