"""What a source gives: splits of encoded images with their labels, and which of them train and test."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

from osakd.errors import InputError

Label = int | str


class OnDemand(Sequence[bytes]):
    """Encoded images, each of which is read from its place when it is needed: they are never in memory together."""

    def __init__(self, read: Callable[[Any], bytes], places: Sequence[Any]) -> None:
        self._read, self._places = read, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, row: Any) -> Any:
        return self._read(self._places[row])


@dataclass(frozen=True)
class EncodedSplit:
    """Images as PNG, JPEG or similar bytes, with their labels as the data have them.

    Attributes:
        labels: for each image a whole number of at least 0, or the name of its class.
        origins: where each image came from, for messages.
        names: names that whole numbers stand for; None where the data do not name their classes.
    """

    images: Sequence[bytes]
    labels: list[Label]
    origins: list[str]
    names: tuple[str, ...] | None = None

    @cached_property
    def keys(self) -> list[bytes]:
        """A key of the content of each image: copies have the same."""
        return [blake2b(image, digest_size=16).digest() for image in self.images]

    def take(self, rows: Sequence[int]) -> "EncodedSplit":
        """The images of these rows."""
        labels, origins = [self.labels[row] for row in rows], [self.origins[row] for row in rows]
        return EncodedSplit(OnDemand(self.images.__getitem__, rows), labels, origins, self.names)


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


def read_file(path: Path) -> bytes:
    """The content of a file; an InputError for one that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}): check it and its permissions.") from error
