"""A memory of the network's outputs for the whole training set, to search neighbours beyond the mini-batch."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from osakd.checks import whole
from osakd.errors import InputError
from osakd.labels.samples import read_extremes
from osakd.labels.search import norms_of


class OutputMemory(nn.Module):
    """The latest output and the class of every training sample, by sample index.

    Its state is buffers, so it moves with its parent module and is in its state dict. Rows that were never written are
    not ``valid``. In eval mode it is only read. A memory for 0 samples takes their number from the state dict that it
    loads, or from ``resize``.

    Args:
        num_samples: number of training samples; 0 if it is not known yet.
        num_classes: number of classes, at least 1.

    Raises:
        InputError: a size out of its range.

    Example:
        >>> memory = OutputMemory(num_samples=100, num_classes=10)
        >>> memory.write(torch.tensor([3, 7]), torch.rand(2, 10), torch.tensor([0, 1]))
        >>> int(memory.valid.sum())
        2
    """

    outputs: Float[Tensor, "m c"]
    target: Int[Tensor, " m"]
    valid: Bool[Tensor, " m"]
    norms: Float[Tensor, " m"]

    def __init__(self, num_samples: int, num_classes: int) -> None:
        super().__init__()
        num_samples = whole("num_samples", num_samples, least=0)
        self.register_buffer("outputs", torch.zeros(num_samples, whole("num_classes", num_classes, least=1)))
        self.register_buffer("target", torch.zeros(num_samples, dtype=torch.int64))
        self.register_buffer("valid", torch.zeros(num_samples, dtype=torch.bool))
        # As ``norms_of`` gives them: infinite where nothing was written.
        self.register_buffer("norms", torch.full((num_samples,), torch.inf, dtype=torch.float64))

    @property
    def num_samples(self) -> int:
        """Number of training samples; 0 if it is not known yet."""
        return len(self.outputs)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.outputs.shape[1]

    def resize(self, num_samples: int) -> None:
        """Forgets everything, and makes room for so many training samples."""
        for name, buffer in self.named_buffers():
            setattr(self, name, buffer.new_zeros((num_samples, *buffer.shape[1:])))
        self.norms.fill_(torch.inf)

    @torch.no_grad()
    def write(
        self,
        index: Int[Tensor, " n"],
        outputs: Float[Tensor, "n c"],
        target: Int[Tensor, " n"],
        valid: Bool[Tensor, " n"] | None = None,
    ) -> None:
        """Writes the outputs and classes of the samples ``index``; in eval mode it does nothing.

        Args:
            index: row of each sample, 0 to m - 1.
            outputs: outputs of the samples.
            target: class index of each sample.
            valid: False for samples that are never neighbours; by default all are.
        """
        if not self.training:
            return
        # index_put_: index_copy_ and scatter_ fall back to slow loops when they are mapped over replicas.
        outputs = outputs.to(self.outputs.dtype)
        self.outputs[index] = outputs
        self.norms[index] = norms_of(outputs).to(self.norms.dtype)
        self.target[index] = target.to(torch.int64)
        self.valid[index] = torch.ones_like(index, dtype=torch.bool) if valid is None else valid

    def check_index(self, index: Tensor | None, target: Tensor, *, needed: bool, values: bool) -> None:
        """Checks the index of a batch, or that none is ``needed``; ``values`` says whether to look at its numbers."""
        if index is None and not needed:
            return
        if not self.num_samples:
            raise InputError(
                "The loss does not know the number of training samples yet: give it as `num_samples`, call `resize`, "
                "or train with an integration of osakd, which does (but Lightning's Tuner leaves callbacks out)."
            )
        if index is None:
            raise InputError(
                "A loss with a memory needs the samples' `index` in training: wrap the training set in `WithIndex` and "
                "call loss(logits, target, index); for other data call loss.eval() first."
            )
        if target.is_floating_point():
            raise InputError("A memory holds class indices, but `target` has class probabilities: give indices.")
        if len(index) != len(target):
            raise InputError(f"`index` must hold one index per sample ({len(target)}), got {len(index)}.")
        extremes = read_extremes(index) if values else None
        if extremes is not None and not (extremes[0] >= 0 and extremes[1] < self.num_samples):
            wrong = extremes[0] if extremes[0] < 0 else extremes[1]
            raise InputError(
                f"`index` must lie between 0 and {self.num_samples - 1} (the training set), got {wrong}: number the "
                "training samples with `WithIndex`, and call loss.eval() before other data."
            )

    def check_classes(self, index: Int[Tensor, " n"], target: Int[Tensor, " n"]) -> None:
        """Checks that samples have the classes that they had before: others show that the index is of other data."""
        if torch.compiler.is_compiling() or target.device.type != "cpu":
            return
        changed = self.valid[index] & (self.target[index] != target)
        try:
            if not changed.any():
                return
        except RuntimeError:  # mapped or fake tensors have no values
            return
        row = int(index[changed][0])
        raise InputError(
            f"Sample {row} had class {int(self.target[row])} and now has class {int(target[changed][0])}: `index` must "
            "be the sample's row in the training set; call loss.eval() before other data."
        )

    def extra_repr(self) -> str:
        """The sizes, for ``print``."""
        return f"num_samples={self.num_samples}, num_classes={self.num_classes}"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        loaded = state_dict.get(prefix + "outputs")
        if loaded is not None and not self.num_samples:
            self.resize(len(loaded))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
