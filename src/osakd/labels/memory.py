"""A memory of the network's outputs for the whole training set, to search neighbours beyond the mini-batch."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from osakd.errors import InputError
from osakd.labels.kept import KeptPerSample
from osakd.labels.search import norms_of


class OutputMemory(KeptPerSample):
    """The latest output and the class of every training sample, by sample index.

    Its state is buffers, so it moves with its parent module and is in its state dict. Rows that were never written are
    not ``valid``. In eval mode it is only read.

    Args:
        num_samples: number of training samples; 0 if it is not known yet: ``resize`` or a loaded state dict sets it.
        num_classes: number of classes, at least 1.

    Raises:
        InputError: a size out of its range.

    Example:
        >>> memory = OutputMemory(num_samples=100, num_classes=10)
        >>> memory.write(torch.tensor([3, 7]), torch.rand(2, 10), torch.tensor([0, 1]))
        >>> int(memory.valid.sum())
        2
    """

    rows = "outputs"
    outputs: Float[Tensor, "m c"]
    target: Int[Tensor, " m"]
    valid: Bool[Tensor, " m"]
    norms: Float[Tensor, " m"]

    def __init__(self, num_samples: int, num_classes: int) -> None:
        super().__init__(num_samples, num_classes)
        self.register_buffer("outputs", torch.zeros(num_samples, num_classes))
        self.register_buffer("target", torch.zeros(num_samples, dtype=torch.int64))
        self.register_buffer("valid", torch.zeros(num_samples, dtype=torch.bool))
        # As ``norms_of`` gives them: infinite where nothing was written.
        self.register_buffer("norms", torch.full((num_samples,), torch.inf, dtype=torch.float64))

    def resize(self, num_samples: int) -> None:
        """Forgets everything, and makes room for so many training samples."""
        super().resize(num_samples)
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

    def check_classes(self, index: Int[Tensor, " n"], target: Int[Tensor, " n"]) -> None:
        """Checks that samples have the classes that they had before: others show that the index is of other data.

        Raises:
            InputError: a sample had another class before (on the CPU in eager mode, where values can be read).
        """
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
        return f"num_samples={self.outputs.shape[0]}, num_classes={self.outputs.shape[1]}"
