"""What a source gives: splits of encoded images with their labels, and which of them train and test."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Label = int | str


@dataclass(frozen=True)
class EncodedSplit:
    """Images as PNG, JPEG or similar bytes, with their labels as the data have them.

    Attributes:
        labels: for each image a whole number of at least 0, or the name of its class.
        origins: where each image came from, for messages.
        names: names that whole numbers stand for; None where the data do not name their classes.
    """

    images: list[bytes]
    labels: list[Label]
    origins: list[str]
    names: tuple[str, ...] | None = None

    def take(self, rows: Sequence[int]) -> "EncodedSplit":
        """The images of these rows."""
        images, labels, origins = ([column[row] for row in rows] for column in (self.images, self.labels, self.origins))
        return EncodedSplit(images, labels, origins, self.names)  # type: ignore[arg-type] - columns of three types


@dataclass(frozen=True)
class Source:
    """The splits of a data set, which are read when they are needed.

    Attributes:
        splits: a reader by kind: ``train``, ``test``, ``validation``, or ``whole`` for images without a split.
        remedy: how a missing split is added, for messages.
        notes: what the user should know; readers add to it.
    """

    data: str
    splits: Mapping[str, Callable[[], EncodedSplit]]
    names: Mapping[str, str]
    remedy: str
    notes: list[str] = field(default_factory=list)

    @property
    def test_kind(self) -> str | None:
        """The kind of split that is tested on; a validation split stands in for a missing test split."""
        return next((kind for kind in ("test", "validation") if kind in self.splits), None)

    @property
    def described(self) -> str:
        """The splits by their own names, for messages."""
        return ", ".join(self.names[kind] for kind in self.splits)

    def read(self, kind: str) -> EncodedSplit:
        """Reads a split; what the user should know of the choice is noted."""
        if kind == "validation":
            self.notes.append(
                f"The data {self.data!r} has no test split: {self.names[kind]} is used as the test split."
            )
        if kind == "test" and "validation" in self.splits:
            self.notes.append(
                f"The split {self.names['validation']} of {self.data!r} is not used: validation images are a share of "
                "the training split (--validation)."
            )
        return self.splits[kind]()
