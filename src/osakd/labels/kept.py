"""What a loss keeps of every training sample: buffers with one row for each."""

from typing import Any, ClassVar

from torch import nn

from osakd.errors import InputError


class KeptPerSample(nn.Module):
    """Buffers with one row per training sample, which a subclass registers.

    If it is made for 0 samples, it takes their number from the state dict that it loads, or from ``resize``.

    Args:
        num_samples: number of training samples; 0 if it is not known yet.
        num_classes: number of classes, at least 1.

    Attributes:
        rows: name of a buffer ``[m, c]``, with a row per sample and a column per class.

    Raises:
        InputError: a size out of its range.
    """

    rows: ClassVar[str]

    def __init__(self, num_samples: int, num_classes: int) -> None:
        if num_samples < 0 or num_classes < 1:
            raise InputError(
                f"{type(self).__name__} needs `num_samples` of at least 0 and `num_classes` of at least 1, got "
                f"{num_samples} and {num_classes}."
            )
        super().__init__()

    @property
    def num_samples(self) -> int:
        """Number of training samples; 0 if it is not known yet."""
        return len(getattr(self, self.rows))

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return getattr(self, self.rows).shape[1]

    def resize(self, num_samples: int) -> None:
        """Forgets everything, and makes room for so many training samples."""
        for name, kept in self.named_buffers():
            setattr(self, name, kept.new_zeros((num_samples, *kept.shape[1:])))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        loaded = state_dict.get(prefix + self.rows)
        if loaded is not None and not self.num_samples:
            self.resize(len(loaded))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
