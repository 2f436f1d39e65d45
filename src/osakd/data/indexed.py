"""A dataset that also returns the index of each sample, which an output memory needs."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch.utils.data import Dataset


class _Indexable(Protocol):
    def __getitem__(self, index: int, /) -> Sequence[Any]: ...
    def __len__(self) -> int: ...


class WithIndex(Dataset[tuple[Any, Any, int]]):
    """Wraps a map-style dataset of ``(image, class)`` with a length so that it yields ``(image, class, index)``.

    Example:
        >>> WithIndex([("a picture", 3), ("another", 5)])[1]
        ('another', 5, 1)
    """

    def __init__(self, dataset: _Indexable) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, Any, int]:
        image, label = self.dataset[index][:2]
        return image, label, index
